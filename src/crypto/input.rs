//! What a MAC is computed of.

/// The input of a MAC, in pieces. It is a trait and not a closure, so that it is monomorphized for each algorithm.
pub(crate) trait Message {
    fn feed(&self, sink: &mut impl FnMut(&[u8]));
}

impl Message for [u8] {
    fn feed(&self, sink: &mut impl FnMut(&[u8])) {
        sink(self);
    }
}

impl Message for [&[u8]] {
    fn feed(&self, sink: &mut impl FnMut(&[u8])) {
        self.iter().for_each(|piece| sink(piece));
    }
}
