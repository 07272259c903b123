//! Histograms as reports carry them: `HdrHistogram`'s compressed V2 form, in base64.

use std::io::Read;

use anyhow::{Context, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::read::ZlibDecoder;
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2DeflateSerializer},
};

/// The head of the V2 form, before its counts.
const HEAD_BYTES: usize = 40;
/// More than any histogram of ours takes when it is inflated.
const INFLATED_BYTES_MAX: u64 = 1 << 20;
/// More values than any run has: sums of a report's histograms are far from overflowing.
const VALUES_MAX: u64 = 1 << 48;

/// A histogram without its empty buckets: values in microseconds, ascending, and how often each came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(Vec<(u64, u64)>);

/// A histogram as text; nothing for an empty one.
pub(crate) fn encode(histogram: &Histogram<u64>) -> String {
    if histogram.is_empty() {
        return String::new();
    }
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("a vector takes everything");
    STANDARD.encode(bytes)
}

impl Counts {
    /// Reads what [`encode`] wrote.
    pub(crate) fn decode(text: &str) -> anyhow::Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let inflated = inflate(&STANDARD.decode(text).context("a histogram isn't base64")?)?;
        let histogram: Histogram<u64> = Deserializer::new()
            .deserialize(&mut inflated.as_slice())
            .map_err(|error| anyhow::anyhow!("a histogram can't be read: {error}"))?;
        let recorded = histogram.iter_recorded();
        let counts: Vec<_> = recorded.map(|one| (one.value_iterated_to(), one.count_at_value())).collect();
        let values = counts.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        ensure!(values <= VALUES_MAX, "a histogram holds {values} values");
        Ok(Self(counts))
    }

    /// Everything that these hold.
    pub(crate) fn merged<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut counts: Vec<(u64, u64)> = all.into_iter().flat_map(|one| one.0.iter().copied()).collect();
        counts.sort_unstable();
        counts.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 += next.1;
            }
            is_same
        });
        Self(counts)
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// A percentile, in milliseconds; none if there are no values.
    pub(crate) fn percentile_ms(&self, percentile: f64) -> Option<f64> {
        let wanted = self.count() as f64 * percentile / 100.0;
        let mut passed = 0;
        let place = self.0.iter().find(|(_, count)| {
            passed += count;
            passed as f64 >= wanted
        });
        place.or(self.0.last()).map(|(us, _)| *us as f64 / 1_000.0)
    }
}

/// The V2 form inside the compressed one. Its head is checked, because it says how much memory to take.
fn inflate(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    // A cookie and the length come before what is compressed.
    let deflated = bytes.get(8..).context("a histogram is cut off")?;
    let mut inflated = Vec::new();
    ZlibDecoder::new(deflated)
        .take(INFLATED_BYTES_MAX)
        .read_to_end(&mut inflated)
        .context("a histogram can't be inflated")?;
    let Some(&[_, _, _, _, a, b, c, d]) = inflated.first_chunk() else { bail!("a histogram has no head") };
    let counts_bytes = inflated.len().saturating_sub(HEAD_BYTES);
    ensure!(usize::try_from(u32::from_be_bytes([a, b, c, d])) == Ok(counts_bytes), "a histogram is cut off");
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, read::ZlibEncoder};

    use super::*;

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        values.into_iter().for_each(|us| histogram.record(us).unwrap());
        histogram
    }

    #[test]
    fn what_is_written_is_read_and_has_the_same_percentiles() {
        let whole = histogram((1..=10_000).map(|n| n * n));
        let counts = Counts::decode(&encode(&whole)).unwrap();
        assert_eq!(counts.count(), 10_000);
        // On where a percentile lies between two of so few values, both may differ by one.
        for percentile in [1.0, 50.0, 99.0, 99.9, 100.0] {
            let expected_ms = whole.value_at_percentile(percentile) as f64 / 1_000.0;
            let read_ms = counts.percentile_ms(percentile).unwrap();
            assert!((read_ms / expected_ms - 1.0).abs() < 0.001, "{percentile}: {read_ms}, {expected_ms}");
        }
        assert!(encode(&histogram(1..=500)).len() < 1_500);
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let parts = [histogram(1..=500), histogram(300..=900), histogram([])]
            .map(|part| Counts::decode(&encode(&part)).unwrap());
        let whole = Counts::decode(&encode(&histogram((1..=500).chain(300..=900)))).unwrap();
        assert_eq!(Counts::merged(&parts), whole);
        assert_eq!(parts[2].percentile_ms(50.0), None);
    }

    #[test]
    fn what_is_no_histogram_is_an_error() {
        assert!(Counts::decode("?").is_err());
        assert!(Counts::decode("AAAA").is_err());
        let good = STANDARD.decode(encode(&histogram([1, 2, 3]))).unwrap();
        let cut = STANDARD.encode(&good[..good.len() - 6]);
        assert!(Counts::decode(&cut).is_err());
    }

    /// A histogram of these counts, whatever its head says of their length.
    fn written(length: Option<u32>, counts: &[u8]) -> String {
        let mut inflated = inflate(&STANDARD.decode(encode(&histogram([1]))).unwrap()).unwrap();
        inflated.truncate(HEAD_BYTES);
        let length = length.unwrap_or_else(|| u32::try_from(counts.len()).unwrap());
        inflated[4..8].copy_from_slice(&length.to_be_bytes());
        inflated.extend_from_slice(counts);
        let mut bytes = 0x1c84_9314_u32.to_be_bytes().to_vec();
        let mut deflated = Vec::new();
        ZlibEncoder::new(inflated.as_slice(), Compression::fast()).read_to_end(&mut deflated).unwrap();
        bytes.extend(u32::try_from(deflated.len()).unwrap().to_be_bytes());
        bytes.extend(deflated);
        STANDARD.encode(bytes)
    }

    #[test]
    fn a_histogram_takes_no_more_memory_than_it_has_and_counts_what_can_be_summed() {
        assert_eq!(Counts::decode(&written(None, &[2, 4])).unwrap().count(), 3);
        assert!(Counts::decode(&written(Some(u32::MAX), &[2, 4])).is_err());
        let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(Counts::decode(&written(None, &huge)).is_err());
    }
}
