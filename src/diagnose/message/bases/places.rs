//! Other orders of a list.

/// Returns the orders of `count` places that a sender is likely to use by mistake: up to four places in any order, and more of
/// them in reverse, or with one place moved.
pub(super) fn moved(count: usize) -> Vec<Vec<usize>> {
    let own: Vec<usize> = (0..count).collect();
    let mut orders: Vec<Vec<usize>> = Vec::new();
    let mut offer = |order: Vec<usize>| {
        if order != own && !orders.contains(&order) {
            orders.push(order);
        }
    };
    if count <= FEW {
        permutations(&own).into_iter().for_each(&mut offer);
        return orders;
    }
    if count > MANY {
        return orders;
    }
    offer(own.iter().rev().copied().collect());
    for from in 0..count {
        for to in 0..count {
            let mut order = own.clone();
            let place = order.remove(from);
            order.insert(to, place);
            offer(order);
        }
    }
    orders
}

/// Returns the places without each one of them, and the one that is left out.
pub(super) fn without_one(count: usize) -> Vec<(Vec<usize>, usize)> {
    let all = if count <= MANY { count } else { 0 };
    (0..all).map(|left_out| ((0..count).filter(|place| *place != left_out).collect(), left_out)).collect()
}

fn permutations(places: &[usize]) -> Vec<Vec<usize>> {
    if places.is_empty() {
        return vec![Vec::new()];
    }
    let mut orders = Vec::new();
    for first in places {
        let rest: Vec<usize> = places.iter().copied().filter(|place| place != first).collect();
        for order in permutations(&rest) {
            orders.push(std::iter::once(*first).chain(order).collect());
        }
    }
    orders
}

/// Up to this number of places, every order is tried.
const FEW: usize = 4;

/// With more places, no other order is tried.
const MANY: usize = 10;
