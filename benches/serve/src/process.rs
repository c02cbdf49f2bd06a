//! Receivers as processes: starts them on free ports and on another core than the load generator, and reads their CPU
//! time.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// A running receiver. Dropping this kills it.
#[derive(Debug)]
pub(crate) struct Receiver {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Receiver {
    /// Starts `command`, which prints its port in the first line of its output.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let unbound = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut receiver = Self { child, address: unbound };
        if cores() > 1 {
            // Pin the process before it starts threads, which inherit the setting.
            pin(Some(Pid::from_child(&receiver.child)), RECEIVER_CORE)?;
        }
        let output = receiver.child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let (sender, receiving) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = sender.send(BufReader::new(output).read_line(&mut line).map(|_| line));
        });
        let line = receiving.recv_timeout(START_LIMIT).map_err(|_| io::ErrorKind::TimedOut)??;
        let port = line.trim().parse().map_err(|_| io::Error::other("the receiver exited before it listened"))?;
        receiver.address.set_port(port);
        Ok(receiver)
    }

    /// Returns the CPU time of all its threads, in user space and in the kernel.
    pub(crate) fn cpu_time(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_core = text.split_ascii_whitespace().next().and_then(|number| number.parse::<u64>().ok());
            nanoseconds += on_core.ok_or(io::ErrorKind::InvalidData)?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pins this thread, the load generator, to another core than the receivers.
pub(crate) fn pin_generator() -> io::Result<()> {
    if cores() > 1 { pin(None, GENERATOR_CORE) } else { Ok(()) }
}

pub(crate) fn cores() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(1, |cores| usize::try_from(cores.count()).unwrap_or(1))
}

fn pin(process: Option<Pid>, core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(process, &cores)?)
}

const RECEIVER_CORE: usize = 0;
const GENERATOR_CORE: usize = 1;

const START_LIMIT: Duration = Duration::from_secs(30);
