//! What the program's exit code says.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked to, and found nothing wrong.
    Pass,
    /// A claim doesn't hold, a limit was exceeded, or the audit found something.
    Fail,
    /// The command line is wrong.
    Usage,
    /// The run proves nothing.
    Invalid,
    /// Something is missing, or wouldn't start.
    Environment,
}

impl Exit {
    /// How a command ends with this error.
    pub fn of(error: &anyhow::Error) -> Self {
        if error.is::<Misuse>() { Self::Usage } else { Self::Environment }
    }

    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
            Self::Environment => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A mistake in the command line that shows only where several arguments, or the files that they name, meet.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub(crate) String);

/// The codes, for `--help`.
pub const HELP: &str = "\
Exit codes:
  0  pass         nothing was found wrong
  1  fail         a claim doesn't hold, a limit was exceeded, or the audit found something
  2  usage        the command line is wrong
  3  invalid      the run proves nothing; the report says why and what to do
  4  environment  something is missing or wouldn't start; the error says what to do";
