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

/// The codes, for `--help`.
pub const HELP: &str = "\
Exit codes:
  0  pass         nothing was found wrong
  1  fail         a claim doesn't hold, a limit was exceeded, or the audit found something
  2  usage        the command line is wrong
  3  invalid      the run proves nothing; the report says why and what to do
  4  environment  something is missing or wouldn't start; the error says what to do";
