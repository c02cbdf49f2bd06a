//! Finds a Python with the modules of the Python receiver.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the command of the receiver. It uses the Python in `PATH` if that has the modules. Otherwise it uses a
/// virtual environment next to this program, which it creates if necessary.
pub(crate) fn receiver() -> Result<Command, String> {
    let ours = env::current_exe().map_err(|error| error.to_string())?.with_file_name("python-receiver");
    let in_ours = ours.join("bin/python3");
    let python = [PathBuf::from("python3"), in_ours.clone()].into_iter().find(|python| has_modules(python));
    let python = match python {
        Some(python) => python,
        None => {
            eprintln!("creating a virtual environment for the Python receiver");
            step(Command::new("python3").args(["-m", "venv"]).arg(&ours))?;
            let requirements = Path::new(HERE).join("requirements.txt");
            step(Command::new(&in_ours).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements))?;
            in_ours
        }
    };
    let mut command = Command::new(python);
    command.arg(Path::new(HERE).join("receiver.py"));
    Ok(command)
}

fn has_modules(python: &Path) -> bool {
    let check = Command::new(python)
        .args(["-c", "import httptools, starlette, uvicorn, uvloop"])
        .stderr(Stdio::null())
        .status();
    check.is_ok_and(|status| status.success())
}

fn step(command: &mut Command) -> Result<(), String> {
    match command.stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{:?} ended with {status}", command.get_program())),
        Err(error) => Err(format!("{:?}: {error}", command.get_program())),
    }
}

const HERE: &str = env!("CARGO_MANIFEST_DIR");
