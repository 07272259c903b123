//! The fuzzer: libFuzzer's `main`, and the target that `FUZZ_TARGET` names.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    use std::sync::LazyLock;

    static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
        let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
        hopline_fuzz::target(&name).unwrap_or_else(|| panic!("there is no target {name}")).run
    });
    RUN(bytes);
});

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("This was built without libFuzzer. `make fuzz` builds it with it.");
}
