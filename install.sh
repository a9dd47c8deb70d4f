#!/bin/sh
# Installs pm, or renews it: ./install.sh, or sh -c "$(wget -qO- ADDRESS/install.sh)"
#
# It takes the signed release for this machine. What is checked: the list of programs is signed
# (minisign, Ed25519) by a key that stands below, and the program is as long as that list says and
# has its SHA-256 hash. Without `minisign` or `openssl` 3 nothing can be checked, and nothing is
# installed. What cannot be checked is this script itself: get it from a place that you trust.
set -eu

# Filled in when a release is made: `cargo xtask dist`.
BUILT_IN_PM_UPDATE_KEY=''
BUILT_IN_PM_UPDATE_NEXT_KEY=''
BUILT_IN_PM_RELEASE_URL=''

FORMAT=1
MAX_BYTES=67108864
BUILD_MEGABYTES=2000

usage() {
    cat <<'END'
Usage: install.sh [--yes] [--mirror URL] [--build]

  --yes         ask nothing
  --mirror URL  download from there instead; the signature is checked all the same
  --build       build the source that this script stands in, even where there is a release

Then it runs `pm setup`: see `pm setup --help`. `pm uninstall` takes everything away again.

PM_MIRROR and PM_RELEASE_URL name addresses too; PM_UPDATE_KEY the public key, where this script has
none; PM_INSTALL_DIR another place than /usr/local/bin, where `pm setup` is left to you.
END
}

# What people read, in the language of their locale.
case ${PM_LANG:-${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}} in
zh*) chinese=yes ;;
*) chinese= ;;
esac

# say ENGLISH CHINESE
say() {
    if [ -n "$chinese" ]; then printf '%s\n' "$2"; else printf '%s\n' "$1"; fi
}

# fail ENGLISH CHINESE [HINT CHINESE-HINT]
fail() {
    if [ -n "$chinese" ]; then
        printf '错误：%s\n' "$2" >&2
        if [ $# -gt 2 ]; then printf '提示：%s\n' "$4" >&2; fi
    else
        printf 'error: %s\n' "$1" >&2
        if [ $# -gt 2 ]; then printf 'hint: %s\n' "$3" >&2; fi
    fi
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

yes=
build=
mirror=${PM_MIRROR:-}
while [ $# -gt 0 ]; do
    case $1 in
    --yes | -y) yes=yes ;;
    --build) build=yes ;;
    --mirror)
        if [ $# -lt 2 ]; then
            usage >&2
            exit 2
        fi
        mirror=$2
        shift
        ;;
    --mirror=*) mirror=${1#--mirror=} ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done

usual_dir=/usr/local/bin
dir=${PM_INSTALL_DIR:-$usual_dir}
key=${BUILT_IN_PM_UPDATE_KEY:-${PM_UPDATE_KEY:-}}
next_key=${BUILT_IN_PM_UPDATE_NEXT_KEY:-${PM_UPDATE_NEXT_KEY:-}}
address=${mirror:-${PM_RELEASE_URL:-$BUILT_IN_PM_RELEASE_URL}}
address=${address%/}

work=
new=
# Leaves nothing behind, however it ends.
tidy() {
    if [ -n "$work" ]; then rm -rf "$work"; fi
    if [ -n "$new" ]; then rm -f "$new"; fi
}
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# The terminal, where the script itself comes through the standard input.
ask() {
    if [ -n "$yes" ]; then return 0; fi
    if ! (: </dev/tty) 2>/dev/null; then
        fail "there is no terminal to ask at" "没有终端可以提问" \
            "say --yes if you want it without being asked" "不需要提问就加上 --yes"
    fi
    if [ -n "$chinese" ]; then printf '%s [Y/n] ' "$2" >/dev/tty; else printf '%s [Y/n] ' "$1" >/dev/tty; fi
    answer=
    read -r answer </dev/tty || exit 1
    case $answer in
    '' | [Yy]* | 是*) return 0 ;;
    *) return 1 ;;
    esac
}

require_root() {
    if [ "$(id -u)" -ne 0 ]; then
        fail "only root can install pm into $dir" "只有 root 才能把 pm 安装到 $dir" \
            "run it with sudo" "加 sudo 运行"
    fi
    case $(uname -s) in
    Linux) ;;
    *) fail "pm is for Linux" "pm 只能在 Linux 上运行" ;;
    esac
}

# fetch NAME FILE MOST-BYTES
fetch() {
    url=$address/$1
    # One byte more than there may be, so that what is too long shows, and no more than that.
    if has curl; then
        curl -fsSL --connect-timeout 20 --max-time 900 "$url" 2>"$work/why" | head -c "$(($3 + 1))" >"$2"
    elif has wget; then
        # With -T, BusyBox's of 1.35 dies of a segmentation fault; it gives up after 15 minutes by itself.
        wget -q -O - "$url" 2>"$work/why" | head -c "$(($3 + 1))" >"$2"
    else
        fail "there is neither curl nor wget to download with" "没有 curl 或 wget，无法下载" \
            "install one: apt-get install curl, or apk add curl" \
            "请安装：apt-get install curl 或 apk add curl"
    fi
    if [ ! -s "$2" ]; then
        fail "cannot download $url: $(tail -n 1 "$work/why")" "无法下载 $url：$(tail -n 1 "$work/why")" \
            "see whether this host reaches it, or name another place with --mirror" \
            "看看本机能否连上，或用 --mirror 换个地址"
    fi
    if [ "$(wc -c <"$2")" -gt "$3" ]; then
        fail "$url is longer than $3 bytes" "$url 超过了 $3 字节"
    fi
}

# Bytes FIRST to LAST, from 1, of standard input.
cut_bytes() {
    tail -c "+$1" | head -c "$(($2 - $1 + 1))"
}

decode() {
    openssl base64 -d -A
}

# Checks a signature with openssl: openssl_verify KEY. minisign signs BLAKE2b-512 of the file, and
# then, with the same key, that signature followed by the trusted comment.
# Source: https://jedisct1.github.io/minisign/#signature-format
openssl_verify() {
    printf '%s' "$1" | decode >"$work/key" || return 1
    sed -n 2p "$work/list.minisig" | tr -d '\r\n' | decode >"$work/signature" || return 1
    sed -n 4p "$work/list.minisig" | tr -d '\r\n' | decode >"$work/global" || return 1
    [ "$(wc -c <"$work/key")" -eq 42 ] || return 1
    [ "$(wc -c <"$work/signature")" -eq 74 ] || return 1
    [ "$(wc -c <"$work/global")" -eq 64 ] || return 1
    # `ED`: the hash was signed. The next eight bytes name the key.
    [ "$(cut_bytes 1 2 <"$work/signature")" = ED ] || return 1
    cut_bytes 3 10 <"$work/key" >"$work/key.id"
    cut_bytes 3 10 <"$work/signature" >"$work/signature.id"
    cmp -s "$work/key.id" "$work/signature.id" || return 1
    # An Ed25519 key as openssl reads it. Source: RFC 8410, section 4.
    {
        printf '\060\052\060\005\006\003\053\145\160\003\041\000'
        cut_bytes 11 42 <"$work/key"
    } >"$work/key.der"
    cut_bytes 11 74 <"$work/signature" >"$work/first"
    openssl dgst -blake2b512 -binary "$work/list" >"$work/hash" || return 1
    {
        cat "$work/first"
        sed -n 3p "$work/list.minisig" | sed 's/^trusted comment: //' | tr -d '\r\n'
    } >"$work/second"
    for part in 'hash first' 'second global'; do
        message=${part% *}
        openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key.der" -rawin \
            -in "$work/$message" -sigfile "$work/${part#* }" >/dev/null 2>&1 || return 1
    done
}

openssl_can() {
    has openssl && openssl pkeyutl -help 2>&1 | grep -q -e -rawin && openssl dgst -blake2b512 /dev/null >/dev/null 2>&1
}

verify() {
    for one in "$key" "$next_key"; do
        [ -n "$one" ] || continue
        if has minisign; then
            minisign -Vq -m "$work/list" -x "$work/list.minisig" -P "$one" >/dev/null 2>&1 && return 0
        elif openssl_can; then
            openssl_verify "$one" && return 0
        else
            fail "nothing here can check the signature, so nothing is installed" \
                "这里没有能验证签名的程序，所以没有安装任何东西" \
                "install minisign or openssl 3: apt-get install minisign, or apk add minisign" \
                "请安装 minisign 或 openssl 3：apt-get install minisign 或 apk add minisign"
        fi
    done
    fail "the release at $address is not to be trusted: its signature does not fit" \
        "$address 上的版本不可信：签名不符" \
        "nothing was installed; try another place (--mirror), and tell whoever makes the releases" \
        "没有安装任何东西；换个地址试试（--mirror），并告诉发布者"
}

# The programs that run here, the best first: one for musl needs no library of the host's.
targets() {
    case $(uname -m) in
    x86_64 | amd64) machine=x86_64 ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) machine=$(uname -m | tr -cd 'a-z0-9_') ;;
    esac
    echo "$machine-unknown-linux-musl"
    # The loader that programs for glibc name.
    for loader in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1; do
        if [ -e "$loader" ]; then echo "$machine-unknown-linux-gnu"; fi
    done
}

# Finds the program for this machine in the list: sets version, size, hash and name.
choose() {
    version=
    name=
    read -r first <"$work/list"
    if [ "$first" != "pm-release $FORMAT" ]; then
        fail "this script cannot read the release: it begins with \"$first\"" \
            "这个脚本读不懂清单：它以 \"$first\" 开头" "get the install.sh of that release" "请用那个版本的 install.sh"
    fi
    for wanted in $(targets); do
        while read -r word a b c d; do
            case $word in
            version) version=$a ;;
            program)
                if [ "$a" = "$wanted" ] && [ -z "$name" ]; then
                    size=$b
                    hash=$c
                    name=$d
                fi
                ;;
            esac
        done <"$work/list"
        if [ -n "$name" ]; then return 0; fi
    done
    return 1
}

take_release() {
    work=$(mktemp -d)
    fetch pm-release.txt "$work/list" 65536
    fetch pm-release.txt.minisig "$work/list.minisig" 4096
    verify
    if ! choose; then
        fail "pm $version is not there for this machine ($(uname -m))" \
            "pm $version 没有适用于本机（$(uname -m)）的程序" \
            "build it from its source: in a checkout with Rust, ./install.sh --build" \
            "请编译源码：在有 Rust 的源码目录里运行 ./install.sh --build"
    fi
    if [ "$size" -gt "$MAX_BYTES" ]; then
        fail "the program is too large: $size bytes" "程序太大：$size 字节"
    fi
    present=
    if [ -x "$dir/pm" ]; then
        present=$("$dir/pm" --version 2>/dev/null || :)
        if [ "$present" = "pm $version" ]; then
            say "pm $version is installed already." "pm $version 已经装好了。"
            return 0
        fi
    fi
    ask "Install pm $version into $dir${present:+, in the place of $present}?" \
        "把 pm $version 安装到 $dir${present:+（替换 $present）}吗？" || exit 1
    # An installed pm renews itself, with its data, and goes back where the new one does not work.
    # One that cannot, because it has no keys or other ones, is replaced below.
    if [ -n "$present" ]; then
        if why=$("$dir/pm" --lang en update --check --mirror "$address" 2>&1); then
            "$dir/pm" update --mirror "$address"
            return 0
        fi
        case $why in
        *'no source of updates'* | *'unrecognized subcommand'* | *'does not know'*) ;;
        *) fail "$present does not take pm $version: $why" "$present 不接受 pm $version：$why" ;;
        esac
    fi
    mkdir -p "$dir"
    new=$dir/.pm.install.$$
    fetch "$name" "$new" "$size"
    if [ "$(wc -c <"$new")" -ne "$size" ] || [ "$(sha256sum <"$new" | cut -d ' ' -f 1)" != "$hash" ]; then
        fail "$address/$name is not what the signed release says it is" \
            "$address/$name 与签名的清单不符" \
            "nothing was installed; try again, or another place (--mirror)" \
            "没有安装任何东西；再试一次，或换个地址（--mirror）"
    fi
    put_in_place
}

# Gives the new program its name, if it runs here.
put_in_place() {
    chmod 755 "$new"
    if ! "$new" --version >/dev/null 2>"$work/why"; then
        fail "the new pm does not run here: $(tail -n 1 "$work/why")" \
            "新的 pm 在这里无法运行：$(tail -n 1 "$work/why")"
    fi
    if [ -e "$dir/pm" ]; then
        rm -f "$dir/.pm.old"
        ln "$dir/pm" "$dir/.pm.old" 2>/dev/null || cp -p "$dir/pm" "$dir/.pm.old"
    fi
    mv -f "$new" "$dir/pm"
    new=
    say "$("$dir/pm" --version) is in $dir." "$("$dir/pm" --version) 已装入 $dir。"
}

# The checkout that this script stands in; nothing where it came through a pipe.
checkout() {
    case $0 in
    */install.sh | install.sh) ;;
    *) return 1 ;;
    esac
    here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || return 1
    [ -f "$here/Cargo.toml" ] && [ -d "$here/crates/pm-cli" ]
}

# Runs a command in the checkout, as whoever called sudo where the checkout is his: sudo hides his PATH, in which
# rustup's cargo is, and what root built there he could not build again.
in_checkout() {
    if [ -n "${SUDO_USER:-}" ] && [ -n "$(find "$here" -prune -user "$SUDO_USER" 2>/dev/null)" ]; then
        # shellcheck disable=SC2016 # for the shell of that user
        sudo -H -u "$SUDO_USER" -- sh -c 'PATH=$PATH:$HOME/.cargo/bin; cd "$1" && shift && exec "$@"' sh "$here" "$@"
    else
        (PATH=$PATH:${HOME:-/root}/.cargo/bin && cd "$here" && "$@")
    fi
}

can_build() {
    checkout && in_checkout cargo --version >/dev/null 2>&1 && in_checkout cc --version >/dev/null 2>&1 || return 1
    megabytes=$(awk '/^(MemTotal|SwapTotal):/ { sum += $2 } END { print int(sum / 1000) }' /proc/meminfo)
    [ "$megabytes" -ge "$BUILD_MEGABYTES" ]
}

build_here() {
    ask "Build pm from $here, in about five minutes, and install it into $dir?" \
        "用 $here 编译 pm（约五分钟）并安装到 $dir 吗？" || exit 1
    built=${CARGO_TARGET_DIR:-$here/target}
    in_checkout cargo build --release --package pm-cli --bin pm --target-dir "$built"
    mkdir -p "$dir"
    new=$dir/.pm.install.$$
    cp "$built/release/pm" "$new"
    work=$(mktemp -d)
    put_in_place
}

no_way() {
    fail "there is no release to install: this script has no address or key of one, and cannot build it here" \
        "没有可安装的版本：这个脚本里没有下载地址或密钥，这里也不能编译" \
        "run the install.sh of a release, or name its place and key (PM_RELEASE_URL, PM_UPDATE_KEY); or build it: in a checkout, with cargo and cc and 2 GB of memory; or copy a pm that was built elsewhere to $dir/pm" \
        "运行某个版本自带的 install.sh，或给出它的地址和密钥（PM_RELEASE_URL、PM_UPDATE_KEY）；或者编译：在源码目录里，需要 cargo、cc 和 2 GB 内存；或把别处编译好的 pm 复制到 $dir/pm"
}

require_root
if [ -z "$build" ] && [ -n "$address" ] && [ -n "$key$next_key" ]; then
    take_release
elif can_build; then
    build_here
else
    no_way
fi

# Puts pm to work: directories, timers, man pages. It asks nothing, and renews what an older pm wrote.
if [ "$dir" = "$usual_dir" ]; then
    "$dir/pm" setup
else
    say "To put it to work: $dir/pm setup" "要让它开始工作，请运行：$dir/pm setup"
fi
