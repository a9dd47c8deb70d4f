use super::*;
use crate::strategies::{bit_rate, size};
use proptest::prelude::*;

fn bytes(text: &str) -> Result<u64, SizeError> {
    text.parse().map(Size::bytes)
}

fn bits(text: &str) -> Result<u64, BitRateError> {
    text.parse().map(BitRate::bits_per_second)
}

#[test]
fn units_are_powers_of_1000_or_of_1024() {
    for (power, (letter, binary)) in (0..).zip([
        ("", ""),
        ("K", "Ki"),
        ("M", "Mi"),
        ("G", "Gi"),
        ("T", "Ti"),
        ("P", "Pi"),
    ]) {
        assert_eq!(bytes(&format!("7{letter}B")), Ok(7 * 1_000u64.pow(power)));
        assert_eq!(bytes(&format!("7{binary}B")), Ok(7 * 1_024u64.pow(power)));
        let family = [SizeFamily::Decimal, SizeFamily::Binary].map(SizeFamily::units);
        assert_eq!(family[0][power as usize].bytes(), 1_000u64.pow(power));
        assert_eq!(family[1][power as usize].bytes(), 1_024u64.pow(power));
    }
}

#[test]
fn a_size_is_shown_in_the_unit_it_was_typed_in() {
    for (typed, shown) in [
        ("100G", "100GB"),
        ("100Gi", "100GiB"),
        ("500m", "500MB"),
        ("1.5 gib", "1.5GiB"),
        (" 1000GB ", "1000GB"),
        ("007kb", "7KB"),
        ("1.50GB", "1.5GB"),
        ("1000 b", "1000B"),
        ("0", "0B"),
        ("0.0TB", "0TB"),
        ("0.0009765625KiB", "0.0009765625KiB"),
    ] {
        assert_eq!(typed.parse::<Size>().unwrap().to_string(), shown);
    }
    assert_eq!(format!("{:>6}", "5GB".parse::<Size>().unwrap()), "   5GB");
}

#[test]
fn a_number_alone_could_mean_any_unit() {
    assert_eq!(bytes("100"), Err(SizeError::NoUnit("100".into())));
    assert_eq!(bytes("0"), Ok(0));
}

#[test]
fn decimals_are_exact() {
    assert_eq!(bytes("1.5GB"), Ok(1_500_000_000));
    assert_eq!(bytes("1.5GiB"), Ok(1_610_612_736));
    assert_eq!(bytes("0.000000001GB"), Ok(1));
    assert_eq!(bytes("9007199.254740993GB"), Ok(9_007_199_254_740_993));
    assert_eq!(bytes(&format!("2.5{}KB", "0".repeat(300))), Ok(2_500));
    for (text, below) in [
        ("0.5B", 0),
        ("1.5B", 1),
        ("0.0000000001GB", 0),
        ("1.0001KiB", 1024),
        ("0.1GiB", 107_374_182),
        ("1.1GiB", 1_181_116_006),
    ] {
        let text = text.to_owned();
        assert_eq!(bytes(&text), Err(SizeError::FractionOfByte { text, below }));
    }
    let byte = Size::new(1, SizeUnit::PiB).unwrap();
    let text = "0.00000000000000088817841970012523233890533447265625PiB";
    assert_eq!(byte.to_string(), text);
    assert_eq!(text.parse(), Ok(byte));
}

#[test]
fn the_largest_size_fits_a_signed_integer() {
    assert_eq!(bytes("9223372036854775807B"), Ok(Size::MAX_BYTES));
    assert_eq!(bytes("9223.372036854775807PB"), Ok(Size::MAX_BYTES));
    for text in [
        "9223372036854775808B",
        "18446744073709551616B",
        "9223.372036854775808PB",
        "8192PiB",
        "99999999999999999999999999999999999999999999PB",
    ] {
        assert_eq!(bytes(text), Err(SizeError::TooLarge(text.into())));
    }
    assert!(Size::new(Size::MAX_BYTES, SizeUnit::B).is_ok());
    assert!(Size::from_bytes(Size::MAX_BYTES + 1).is_err());
    assert!(
        bytes("8192PiB")
            .unwrap_err()
            .to_string()
            .contains(&Size::MAX_BYTES.to_string())
    );
}

#[test]
fn what_is_no_size_is_refused() {
    for text in [
        "", " ", "GB", ".5GB", "5.GB", "5.", ".", "１GB", "∞", "NaN", "x5GB",
    ] {
        assert_eq!(bytes(text), Err(SizeError::NotASize(text.trim().into())));
    }
    for text in ["-1GB", "+1GB", "-0"] {
        assert_eq!(bytes(text), Err(SizeError::Signed(text.into())));
    }
    for text in ["1e30GB", "1E9", "1.5e+3", "1e-3GB"] {
        assert_eq!(bytes(text), Err(SizeError::Exponent(text.into())));
    }
    for (text, unit) in [
        ("5EB", "EB"),
        ("5 bytes", "bytes"),
        ("1,5GB", ",5GB"),
        ("1_000", "_000"),
        ("1 000", "000"),
        ("0x10", "x10"),
        ("1.2.3GB", ".3GB"),
        ("5Mbps", "Mbps"),
        ("5GBB", "GBB"),
        ("5ＧＢ", "ＧＢ"),
    ] {
        let (text, unit) = (text.to_owned(), unit.to_owned());
        assert_eq!(bytes(&text), Err(SizeError::UnknownUnit { text, unit }));
    }
}

#[test]
fn bytes_choose_the_unit_that_shows_them_in_three_decimals() {
    for (bytes, shown) in [
        (0, "0B"),
        (999, "999B"),
        (1_000, "1KB"),
        (1_001, "1.001KB"),
        (1_000_000, "1MB"),
        (1_001_000, "1.001MB"),
        (1_000_100, "1000.1KB"),
        (1_000_001, "1000.001KB"),
        (100_000_000_000, "100GB"),
        (100_000_000_001, "100000000.001KB"),
        (Size::MAX_BYTES, "9223372036854775.807KB"),
    ] {
        assert_eq!(Size::from_bytes(bytes).unwrap().to_string(), shown);
    }
}

#[test]
fn sizes_are_ordered_by_bytes() {
    let [a, b, c] = ["999MB", "1GB", "1000MB"].map(|text| text.parse::<Size>().unwrap());
    assert!(a < b && a < c && c < b);
    assert_ne!(b, c);
}

#[test]
fn sizes_and_rates_are_saved_as_text() {
    let size: Size = "1.5GiB".parse().unwrap();
    assert_eq!(serde_json::to_string(&size).unwrap(), r#""1.5GiB""#);
    assert!(serde_json::from_str::<Size>("5").is_err());
    let rate: BitRate = "100M".parse().unwrap();
    assert_eq!(serde_json::to_string(&rate).unwrap(), r#""100Mbps""#);
    let error = serde_json::from_str::<BitRate>(r#""fast""#).unwrap_err();
    assert!(error.to_string().contains("`fast` is not a rate"));
}

#[test]
fn a_table_never_shows_more_than_there_is() {
    use SizeFamily::{Binary, Decimal};
    for (bytes, family, shown) in [
        (0, Decimal, "0 B"),
        (999, Decimal, "999 B"),
        (1_023, Binary, "1023 B"),
        (1_000, Decimal, "1 KB"),
        (1_000, Binary, "1000 B"),
        (1_009, Decimal, "1 KB"),
        (1_010, Decimal, "1.01 KB"),
        (4_200_000_000, Decimal, "4.2 GB"),
        (9_999_999_999, Decimal, "9.99 GB"),
        (10_000_000_000, Decimal, "10 GB"),
        (99_999_999_999, Decimal, "99.9 GB"),
        (100_999_999_999, Decimal, "100 GB"),
        (999_999_999_999, Decimal, "999 GB"),
        (1_000_000_000_000, Decimal, "1 TB"),
        ((1 << 20) - 1, Binary, "1023 KiB"),
        (10 << 30, Binary, "10 GiB"),
        ((10 << 30) - 1, Binary, "9.99 GiB"),
        (u64::MAX, Decimal, "18446 PB"),
        (u64::MAX, Binary, "16383 PiB"),
    ] {
        assert_eq!(approximate(bytes, family), shown);
    }
}

#[test]
fn a_rate_is_in_decimal_bits() {
    for (typed, rate, shown) in [
        ("1", 1, "1bps"),
        ("999", 999, "999bps"),
        ("100M", 100_000_000, "100Mbps"),
        ("100Mbps", 100_000_000, "100Mbps"),
        ("100mb", 100_000_000, "100Mbps"),
        ("1Gbps", 1_000_000_000, "1Gbps"),
        ("1000mbit", 1_000_000_000, "1Gbps"),
        ("1.5 Gbit/s", 1_500_000_000, "1.5Gbps"),
        ("500Kbps", 500_000, "500Kbps"),
        ("1234567", 1_234_567, "1234.567Kbps"),
        ("1.0001M", 1_000_100, "1000.1Kbps"),
        ("10T", BitRate::MAX_BITS_PER_SECOND, "10Tbps"),
    ] {
        let parsed: BitRate = typed.parse().unwrap();
        assert_eq!(
            (parsed.bits_per_second(), parsed.to_string()),
            (rate, shown.into())
        );
    }
}

#[test]
fn bytes_a_second_are_rounded_down() {
    for (rate, bytes) in [("7", 0), ("8", 1), ("15", 1), ("100M", 12_500_000)] {
        assert_eq!(rate.parse().map(BitRate::bytes_per_second), Ok(bytes));
    }
}

#[test]
fn what_is_no_rate_is_refused() {
    for text in ["0", "0Mbps", "0.000G"] {
        assert_eq!(bits(text), Err(BitRateError::Zero(text.into())));
    }
    for text in ["10.000000000001T", "10000000000001", "99999999999999999999"] {
        assert_eq!(bits(text), Err(BitRateError::TooFast(text.into())));
    }
    for text in ["100MB", "100MBps", "100MBPS", "1GB/s", "5B"] {
        assert_eq!(bits(text), Err(BitRateError::Bytes(text.into())));
    }
    for text in ["", "Mbps", ".5M", "fast"] {
        assert_eq!(bits(text), Err(BitRateError::NotARate(text.into())));
    }
    assert_eq!(bits("-1M"), Err(BitRateError::Signed("-1M".into())));
    assert_eq!(bits("1e9"), Err(BitRateError::Exponent("1e9".into())));
    assert_eq!(bits("0.5"), Err(BitRateError::FractionOfBit("0.5".into())));
    for (text, unit) in [
        ("1Mi", "Mi"),
        ("1Pbps", "Pbps"),
        ("1Mbps/s", "Mbps/s"),
        ("1µ", "µ"),
    ] {
        let (text, unit) = (text.to_owned(), unit.to_owned());
        assert_eq!(bits(&text), Err(BitRateError::UnknownUnit { text, unit }));
    }
    assert!(BitRate::from_bits_per_second(0).is_err());
    assert!(BitRate::from_bits_per_second(BitRate::MAX_BITS_PER_SECOND + 1).is_err());
}

proptest! {
    #[test]
    fn text_and_size_round_trip(size in size()) {
        prop_assert_eq!(size.to_string().parse(), Ok(size));
        prop_assert_eq!(size.to_string().to_lowercase().parse(), Ok(size));
    }

    #[test]
    fn text_and_rate_round_trip(rate in bit_rate()) {
        prop_assert_eq!(rate.to_string().parse(), Ok(rate));
    }

    #[test]
    fn bytes_survive_the_choice_of_a_unit(size in size()) {
        let chosen = Size::from_bytes(size.bytes()).unwrap();
        prop_assert_eq!(chosen.bytes(), size.bytes());
        let text = chosen.to_string();
        let decimals = text.split_once('.').map_or("", |(_, rest)| rest);
        prop_assert!(decimals.bytes().filter(u8::is_ascii_digit).count() <= 3);
    }

    /// At most a hundredth is missing, and nothing is added.
    #[test]
    fn an_approximation_is_close_and_below(size in size()) {
        for family in [SizeFamily::Decimal, SizeFamily::Binary] {
            let text = approximate(size.bytes(), family);
            let (number, unit) = text.split_once(' ').unwrap();
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            let unit = u128::from(SizeUnit::named(unit).unwrap().bytes());
            let hundredths: u128 = format!("{whole}{fraction:0<2}").parse().unwrap();
            let (shown, exact) = (hundredths * unit, u128::from(size.bytes()) * 100);
            prop_assert!(shown <= exact && (exact - shown) * 100 <= exact, "{text}");
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), number in "[0-9]{1,30}(\\.[0-9]{1,60})?") {
        let _ = text.parse::<Size>();
        let _ = text.parse::<BitRate>();
        let _ = format!("{number}{text}").parse::<Size>();
        let _ = format!("{number}{text}").parse::<BitRate>();
        let _ = format!("{number}PiB").parse::<Size>();
    }
}
