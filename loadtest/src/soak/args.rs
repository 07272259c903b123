//! The command line of `soak`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use crate::cli::parse_rate;

/// `soak`.
#[derive(Clone, Debug, Args)]
pub struct SoakArgs {
    /// For how long: 90s, 15m or 1h; at most an hour.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    pub duration: Duration,
    /// Messages a second.
    #[arg(long, default_value_t = 500.0, value_parser = parse_rate)]
    pub rate: f64,
    /// Decides what breaks when [default: a random one, which is printed].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as a page, too: one file that needs no network.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The server's binary [default: built by Cargo if this runs under it, else the one beside this program].
    #[arg(long, env = "HOPLINE_BIN", value_name = "FILE", help_heading = "Lab")]
    pub server_binary: Option<PathBuf>,
    /// Leave the lab's folder with its logs, until the next lab starts.
    #[arg(long, help_heading = "Lab")]
    pub keep: bool,
}

/// At most as long as the run's clock and plan allow.
fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len()));
    let seconds_each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 0,
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds_each));
    match seconds {
        Some(seconds @ 60..=3_600) => Ok(Duration::from_secs(seconds)),
        _ => Err("a time from 1m to 1h, such as 90s, 15m or 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_is_at_most_an_hour() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h", 3_600)] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in ["", "5", "2h", "10s", "h", "-1m", "1d", "99999999999999999999h"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
