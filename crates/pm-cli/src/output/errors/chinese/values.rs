//! Why a text is not a value that something can have.

use pm_core::config::{MAX_GROUP_BYTES, MAX_NOTE_CHARS, ValueError};
use pm_core::dynqos::{DynQosError, Minutes};
use pm_core::holder::NoHolder;
use pm_core::language::LanguageError;
use pm_core::port::PortError;
use pm_core::shaping::ClassifierError;
use pm_core::units::{BitRateError, SizeError};

pub(super) fn port(error: &PortError) -> String {
    match error {
        PortError::NotAPort(text) => {
            format!("`{text}` 不是端口：请写 1 到 65535 之间的数，或端口段，例如 30000-30100")
        }
        PortError::OutOfRange(text) => format!("没有端口 {text}：端口从 1 到 65535"),
        PortError::Backwards { first, last } => {
            format!("端口段 {first}-{last} 写反了：请写 {last}-{first}")
        }
        PortError::Overlap(one, other) => {
            format!("{one} 和 {other} 重叠：一个端口只能属于一个服务")
        }
        PortError::Empty => "没有写端口：请写一个，或用逗号隔开的几个".to_owned(),
    }
}

pub(super) fn value(error: &ValueError) -> String {
    match error {
        ValueError::NoteTooLong(length) => {
            format!("备注有 {length} 个字符：最多 {MAX_NOTE_CHARS} 个")
        }
        ValueError::NoteControl(code) => format!("备注里有控制字符 U+{code:04X}：请去掉"),
        ValueError::QuotaZero => "配额为 0 就什么也过不去了：想切断请阻断端口（`pm block`），\
                                  不要配额请写 `none`"
            .to_owned(),
        ValueError::Mode(text) => format!(
            "`{text}` 不是模式：请写 `both`（双向都计）、`out`（只计出站）或 `max`（取大，出入站中较大者）"
        ),
        ValueError::Factor(text) => {
            format!("`{text}` 不是倍率：请写 0.001 到 1000 之间的数，最多三位小数")
        }
        ValueError::LimitTooLow(rate) => {
            format!("限速 {rate} 几乎什么也过不去：至少写 8Kbps；若是兆比特，请在数字后加 `M`")
        }
        ValueError::LimitTooHigh(rate) => format!("限速 {rate} 太高：最高 100Gbps"),
        ValueError::GroupName(text) => format!(
            "`{text}` 不能作组名：请写 1 到 {MAX_GROUP_BYTES} 字节的文字，不含逗号和换行，不是 \
             `none`，也不以 `-` 开头"
        ),
        ValueError::Zone(name) => {
            format!("没有时区 `{name}`：请写 IANA 名称，例如 Asia/Shanghai，或 `system`")
        }
    }
}

pub(super) fn size(error: &SizeError) -> String {
    match error {
        SizeError::NotASize(text) => {
            format!("`{text}` 不是大小：请写数字加单位，例如 100GB、1.5GiB 或 500MB")
        }
        SizeError::Signed(text) => format!("`{text}` 带了正负号：请去掉，例如 100GB"),
        SizeError::Exponent(text) => {
            format!("`{text}` 用了指数：请写出完整的数和单位，例如 100GB")
        }
        SizeError::UnknownUnit { text, unit } => format!(
            "`{text}` 不是大小：没有单位 `{unit}`；可用 B、KB、MB、GB、TB、PB（1000 进制），或 \
             KiB、MiB、GiB、TiB、PiB（1024 进制）"
        ),
        SizeError::NoUnit(text) => {
            format!("`{text}` 没有单位：请写 {text}GB、{text}GiB 或 {text}B")
        }
        SizeError::FractionOfByte { text, below } => {
            format!("`{text}` 不是整数个字节：请写 {below}B")
        }
        SizeError::TooLarge(text) => {
            format!("`{text}` 太大：最大是 9223372036854775807 字节（约 9223PB）")
        }
    }
}

pub(super) fn rate(error: &BitRateError) -> String {
    match error {
        BitRateError::NotARate(text) => {
            format!("`{text}` 不是速率：请写数字加单位，例如 100Mbps、1.5Gbps 或 500K")
        }
        BitRateError::Signed(text) => format!("`{text}` 带了正负号：请去掉，例如 100Mbps"),
        BitRateError::Exponent(text) => {
            format!("`{text}` 用了指数：请写出完整的数和单位，例如 100Mbps")
        }
        BitRateError::UnknownUnit { text, unit } => {
            format!("`{text}` 不是速率：没有单位 `{unit}`；可用 bps、Kbps、Mbps、Gbps、Tbps")
        }
        BitRateError::Bytes(text) => format!(
            "`{text}` 可能指字节：速率按比特计；请写 100Mbps 这样的比特数，每秒 1 MB 合 8Mbps"
        ),
        BitRateError::FractionOfBit(text) => {
            format!("`{text}` 不是每秒整数个比特：请少写几位小数")
        }
        BitRateError::Zero(text) => {
            format!("速率 `{text}` 什么也过不去：至少写 1bps")
        }
        BitRateError::TooFast(text) => format!("`{text}` 太快：最高是 10Tbps"),
    }
}

pub(super) fn dynqos(error: &DynQosError) -> String {
    match error {
        DynQosError::Form(text) => format!(
            "`{text}` 不是 DynQoS 规则：请写 触发速率/分钟/惩罚速率/分钟，例如 100M/5/5M/60：连续 5 \
             分钟超过 100 Mbps，就限速到 5 Mbps，持续 60 分钟"
        ),
        DynQosError::Rate(error) => rate(error),
        DynQosError::TriggerTooLow(rate) => {
            format!("触发速率 {rate} 几乎谁都会触发：至少写 8Kbps；若是兆比特，请在数字后加 `M`")
        }
        DynQosError::Limit(error) => value(error),
        DynQosError::Minutes(text) => {
            format!("`{text}` 不是分钟数：请写 1 到 {} 之间的数", Minutes::MOST)
        }
    }
}

pub(super) fn classifier(error: &ClassifierError) -> String {
    match error {
        ClassifierError::Form(text) => {
            format!("`{text}` 不是分类方式：请写 `priority`、`fwmark` 或 `fwmark/0xffff0000`")
        }
        ClassifierError::Narrow(mask) => {
            format!("掩码 `{mask}` 分不开 65535 个端口：请写连续 16 位以上的掩码，例如 0xffff0000")
        }
    }
}

pub(super) fn language(LanguageError(text): &LanguageError) -> String {
    format!("pm 不会说 `{text}`：请写 `en` 或 `zh`")
}

pub(super) fn holder(NoHolder(text): &NoHolder) -> String {
    format!("`{text}` 既不是端口或端口段，也不是 `group` 加名称")
}
