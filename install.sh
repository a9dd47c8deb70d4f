#!/bin/sh
# Installs pm, or renews it: ./install.sh, or sh -c "$(wget -qO- ADDRESS/install.sh)"
#
# It takes the signed release for this machine. What is checked: the list of programs is signed
# (minisign, Ed25519) by a key that stands below, and the program is as long as that list says and
# has its SHA-256 hash. Without `minisign` or `openssl` 3 nothing can be checked, and nothing is
# installed. What cannot be checked is this script itself: get it from a place that you trust.
#
# All of it stands in functions, and the last line calls them: what arrives cut off does nothing.
set -eu
# Nobody else may write to what root will run, nor be kept from running it.
umask 022

# Filled in when a release is made: `cargo xtask dist`.
BUILT_IN_PM_UPDATE_KEY=''
BUILT_IN_PM_UPDATE_NEXT_KEY=''
BUILT_IN_PM_RELEASE_URL=''

FORMAT=1
MAX_BYTES=67108864
BUILD_MEGABYTES=2000

# What people read, in the language of their locale.
case ${PM_LANG:-${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}} in
zh*) chinese=yes ;;
*) chinese= ;;
esac

usage() {
    if [ -n "$chinese" ]; then
        cat <<'END'
用法：install.sh [--yes] [--mirror 地址] [--build] [--force] [--move-aside]

  --yes          不提问
  --mirror 地址  从那里下载；签名照样验证
  --build        编译脚本所在的源码，即使有发布版
  --force        也装回比现有 pm 更旧的版本
  --move-aside   不提问也替换那里别的程序，如 pm.sh：保留为 pm.before-pm，卸载时放回原处

之后它会运行 `pm setup`：见 `pm setup --help`。`pm uninstall` 把一切撤掉。

PM_MIRROR 和 PM_RELEASE_URL 也可以给出地址；脚本里没有公钥时，由 PM_UPDATE_KEY 给出；PM_INSTALL_DIR 指定
/usr/local/bin 以外的目录，那样 `pm setup` 要自己运行。
END
    else
        cat <<'END'
Usage: install.sh [--yes] [--mirror URL] [--build] [--force] [--move-aside]

  --yes         ask nothing
  --mirror URL  download from there instead; the signature is checked all the same
  --build       build the source that this script stands in, even where there is a release
  --force       also go back to a release that is older than the pm which is there
  --move-aside  replace another program there, such as pm.sh, without being asked: it is kept as
                pm.before-pm, and comes back with `pm uninstall`

Then it runs `pm setup`: see `pm setup --help`. `pm uninstall` takes everything away again.

PM_MIRROR and PM_RELEASE_URL name addresses too; PM_UPDATE_KEY the public key, where this script has
none; PM_INSTALL_DIR another place than /usr/local/bin, where `pm setup` is left to you.
END
    fi
}

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

declined() {
    say "Nothing was changed." "没有做任何改动。"
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Sets what the command line and the environment say.
read_arguments() {
    yes=
    build=
    force=
    move_aside=
    mirror=${PM_MIRROR:-}
    while [ $# -gt 0 ]; do
        case $1 in
        --yes | -y) yes=yes ;;
        --build) build=yes ;;
        --force) force=--force ;;
        --move-aside) move_aside=yes ;;
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
    case $dir in
    /*) ;;
    *) dir=$PWD/$dir ;;
    esac
    while [ "$dir" != "${dir%/}" ]; do dir=${dir%/}; done
    # A script with a key in it believes no other: not one that happens to be in the environment.
    if [ -n "$BUILT_IN_PM_UPDATE_KEY" ]; then
        key=$BUILT_IN_PM_UPDATE_KEY
        next_key=$BUILT_IN_PM_UPDATE_NEXT_KEY
    else
        key=${PM_UPDATE_KEY:-}
        next_key=${PM_UPDATE_NEXT_KEY:-}
    fi
    address=${mirror:-${PM_RELEASE_URL:-$BUILT_IN_PM_RELEASE_URL}}
    while [ "$address" != "${address%/}" ]; do address=${address%/}; done
}

# Refuses what `pm update` refuses, too. A name and password in it would be shown to whoever looks at the processes.
check_address() {
    case $address in
    *@*)
        fail "the address of releases may hold no name and password" "下载地址里不能有用户名和密码" \
            "it is the signature that counts: name a place that needs none" "起作用的是签名：请换一个不需要密码的地址"
        ;;
    *[[:space:][:cntrl:]]* | *'?'* | *'#'* | *\\*) ;;
    http://[A-Za-z0-9[]* | https://[A-Za-z0-9[]*) return 0 ;;
    esac
    fail "\"$address\" is no address of releases" "\"$address\" 不是下载地址" \
        "it must begin with https:// or http://" "要以 https:// 或 http:// 开头"
}

work=
new=
kept=
# Leaves nothing behind, however it ends.
tidy() {
    if [ -n "$work" ]; then rm -rf "$work"; fi
    if [ -n "$new" ]; then rm -f "$new"; fi
    # The program that it was is still in its place.
    if [ -n "$kept" ]; then rm -f "$kept"; fi
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

# cannot_write PLACE: says why, from what the last command said.
cannot_write() {
    fail "cannot write to $1: $(tail -n 1 "$work/why" 2>/dev/null)" "无法写入 $1：$(tail -n 1 "$work/why" 2>/dev/null)" \
        "nothing was installed; see whether there is room (df), and whether it may be written to (mount)" \
        "没有安装任何东西；看看是否还有空间（df）、是否可写（mount）"
}

make_work() {
    if ! work=$(mktemp -d 2>/dev/null); then
        work=
        fail "cannot make a directory for what is downloaded, in ${TMPDIR:-/tmp}" "无法在 ${TMPDIR:-/tmp} 建立存放下载内容的目录" \
            "free some space there, or name another place: TMPDIR=/var/tmp ./install.sh" \
            "请腾出空间，或换个地方：TMPDIR=/var/tmp ./install.sh"
    fi
}

# Makes the directory of programs, and an empty file in it that will be the new one.
make_new() {
    new=$dir/.pm.install.$$
    if ! { mkdir -p "$dir" && rm -f "$new" && (: >"$new"); } 2>"$work/why"; then
        new=
        cannot_write "$dir"
    fi
}

# limited SECONDS COMMAND...: ends it when the time is up, where there is something to do that with.
limited() {
    if has timeout; then
        timeout "$@"
    else
        shift
        "$@"
    fi
}

# fetch NAME FILE MOST-BYTES
fetch() {
    url=$address/$1
    : >"$work/disk"
    # One byte more than there may be, so that what is too long shows, and no more than that.
    if has curl; then
        curl -fsSL --connect-timeout 20 --max-time 900 "$url" 2>"$work/why" | keep "$3" "$2"
    elif has wget; then
        # The time limit is not wget's own: with -T, BusyBox's of 1.35 dies of a segmentation fault, and GNU's counts
        # only while nothing arrives.
        limited 900 wget -q -O - "$url" 2>"$work/why" | keep "$3" "$2"
    else
        fail "there is neither curl nor wget to download with" "没有 curl 或 wget，无法下载" \
            "install one: apt-get install curl, or apk add curl" \
            "请安装：apt-get install curl 或 apk add curl"
    fi
    if [ -s "$work/disk" ]; then
        mv -f "$work/disk" "$work/why"
        cannot_write "$2"
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

# keep MOST-BYTES FILE: writes standard input there; what the disk says about it is in $work/disk.
keep() {
    (head -c "$(($1 + 1))" >"$2") 2>"$work/disk" || [ -s "$work/disk" ] || echo 'write error' >"$work/disk"
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

is_compiled() {
    [ -f "$1" ] || return 1
    printf '\177ELF' >"$work/elf"
    head -c 4 "$1" | cmp -s - "$work/elf"
}

# Prints the version of a program that is pm; nothing where it is another one, or none. Other tools are called pm, too, and
# some do a great deal where they do not understand what they are told: none is run that is not a compiled program.
version_of() {
    is_compiled "$1" && [ -x "$1" ] || return 0
    said=$(limited 10 "$1" --version </dev/null 2>/dev/null | head -n 1) || return 0
    printf '%s\n' "$said" | sed -n 's/^pm \([0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\([-+][0-9A-Za-z.+-]*\)\{0,1\}\)$/\1/p'
}

# older A B: whether version A comes before B. Source: Semantic Versioning 2.0.0, section 11.
older() {
    LC_ALL=C awk -v a="${1%%+*}" -v b="${2%%+*}" '
        # Returns -1, 0 or 1.
        function order(x, y, numeric) {
            if (numeric) { x += 0; y += 0 } else { x = x ""; y = y "" }
            return x < y ? -1 : x > y
        }
        function compare(a, b,   i, dash_a, dash_b, x, y, m, n, found, of_x, of_y) {
            dash_a = index(a, "-"); dash_b = index(b, "-")
            split(dash_a ? substr(a, 1, dash_a - 1) : a, x, "."); split(dash_b ? substr(b, 1, dash_b - 1) : b, y, ".")
            for (i = 1; i <= 3; i++) if ((found = order(x[i], y[i], 1)) != 0) return found
            if (!dash_a || !dash_b) return order(!dash_a, !dash_b, 1)
            m = split(substr(a, dash_a + 1), x, "."); n = split(substr(b, dash_b + 1), y, ".")
            for (i = 1; i <= m && i <= n; i++) {
                of_x = x[i] ~ /^[0-9]+$/; of_y = y[i] ~ /^[0-9]+$/
                if (of_x != of_y) return of_x ? -1 : 1
                if ((found = order(x[i], y[i], of_x)) != 0) return found
            }
            return order(m, n, 1)
        }
        BEGIN { exit compare(a, b) < 0 ? 0 : 1 }' </dev/null
}

# Looks at what stands where pm will be: sets present to the version of pm, and other to what another program is called.
look_at_present() {
    present=
    other=
    if [ -d "$dir/pm" ]; then
        fail "$dir/pm is a directory" "$dir/pm 是一个目录" "move it away" "请把它移走"
    fi
    if [ ! -e "$dir/pm" ] && [ ! -L "$dir/pm" ]; then return 0; fi
    present=$(version_of "$dir/pm")
    if [ -n "$present" ]; then return 0; fi
    if is_compiled "$dir/pm"; then
        # One of pm's own words: it is a pm that does not run here, and to be replaced.
        # shellcheck disable=SC2016 # as it stands there
        if grep -qsF 'written by `pm setup`' "$dir/pm"; then return 0; fi
        other=pm
    elif grep -qs port_monitor "$dir/pm"; then
        other=pm.sh
    else
        other=pm
    fi
}

# Goes on where another program stands in pm's place only if somebody wants that.
ask_about_other() {
    if [ -z "$other" ]; then return 0; fi
    if [ -e "$dir/pm.before-pm" ] || [ -L "$dir/pm.before-pm" ]; then
        fail "$dir/pm is another program ($other), and $dir/pm.before-pm is there already" \
            "$dir/pm 是别的程序（$other），而 $dir/pm.before-pm 已经存在" \
            "move one of them away" "请移走其中一个"
    fi
    if [ -n "$move_aside" ]; then return 0; fi
    if [ -n "$yes" ]; then
        fail "$dir/pm is another program ($other), and is left alone" "$dir/pm 是别的程序（$other），没有动它" \
            "say --move-aside to keep it as pm.before-pm until \`pm uninstall\` puts it back; or install elsewhere: PM_INSTALL_DIR" \
            "加上 --move-aside，它会保留为 pm.before-pm，\`pm uninstall\` 时放回；或装到别处：PM_INSTALL_DIR"
    fi
    ask "$dir/pm is another program ($other). Keep it as pm.before-pm, until \`pm uninstall\` puts it back?" \
        "$dir/pm 是别的程序（$other）。把它保留为 pm.before-pm，\`pm uninstall\` 时放回，好吗？" || declined
}

# refuse_older NEW: unless somebody wants to go back.
refuse_older() {
    if [ -n "$present" ] && [ -z "$force" ] && older "$1" "$present"; then
        fail "pm $present is installed, and pm $1 is older" "已安装 pm $present，而 pm $1 更旧" \
            "if you want to go back to it, say --force" "确实要装回旧版本，就加上 --force"
    fi
}

take_release() {
    check_address
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
    if [ "$present" = "$version" ] && [ -z "$force" ]; then
        say "pm $version is installed already." "pm $version 已经装好了。"
        return 0
    fi
    refuse_older "$version"
    ask_about_other
    ask "Install pm $version into $dir${present:+, in the place of pm $present}?" \
        "把 pm $version 安装到 $dir${present:+（替换 pm $present）}吗？" || declined
    # An installed pm renews itself, with its data, and goes back where the new one does not work.
    # One that cannot, because it has no keys or other ones (4), or not that command (2), is replaced below.
    if [ -n "$present" ]; then
        code=0
        why=$("$dir/pm" update --check $force --mirror "$address" 2>&1 </dev/null) || code=$?
        case $code in
        0)
            "$dir/pm" update $force --mirror "$address" </dev/null
            return 0
            ;;
        2 | 4) ;;
        *) fail "pm $present does not take pm $version: ${why#error: }" "pm $present 不接受 pm $version：${why#错误：}" ;;
        esac
    fi
    if [ -t 1 ]; then
        say "Downloading pm $version, $((size / 1000)) kB ..." "正在下载 pm $version（$((size / 1000)) kB）……"
    fi
    make_new
    fetch "$name" "$new" "$size"
    if [ "$(wc -c <"$new")" -ne "$size" ] || [ "$(sha256sum <"$new" | cut -d ' ' -f 1)" != "$hash" ]; then
        fail "$address/$name is not what the signed release says it is" \
            "$address/$name 与签名的清单不符" \
            "nothing was installed; try again, or another place (--mirror)" \
            "没有安装任何东西；再试一次，或换个地址（--mirror）"
    fi
    put_in_place
}

# Gives the new program its name, if it runs here. The old one stays in its place until then.
put_in_place() {
    chmod 755 "$new"
    if ! limited 10 "$new" --version </dev/null >/dev/null 2>"$work/why"; then
        fail "the new pm does not run here: $(tail -n 1 "$work/why")" \
            "新的 pm 在这里无法运行：$(tail -n 1 "$work/why")"
    fi
    version=$(version_of "$new")
    if [ -z "$version" ]; then
        fail "what was to be installed is no pm: it does not say its version" "要安装的不是 pm：它不报告版本"
    fi
    refuse_older "$version"
    if [ -n "$other" ]; then
        copy=$dir/pm.before-pm
        kept=$copy
    else
        copy=$dir/.pm.old
    fi
    if [ -e "$dir/pm" ] || [ -L "$dir/pm" ]; then
        if ! { { [ -n "$other" ] || rm -f "$copy"; } && copy_program "$dir/pm" "$copy"; } 2>"$work/why"; then
            cannot_write "$copy"
        fi
    fi
    if ! mv -f "$new" "$dir/pm" 2>"$work/why"; then cannot_write "$dir/pm"; fi
    new=
    if [ -n "$kept" ]; then
        kept=
        say "The $other that was there is $dir/pm.before-pm now." "原来的 $other 现在是 $dir/pm.before-pm。"
    fi
    say "pm $version is in $dir." "pm $version 已装入 $dir。"
}

# A second name for a program, or a copy where there can be none. A link stays a link.
copy_program() {
    if [ -L "$1" ]; then
        cp -P "$1" "$2"
    else
        ln "$1" "$2" 2>/dev/null || cp -p "$1" "$2"
    fi
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

# Whether pm can be built here; else lacks says what is missing, and is empty outside of a checkout.
can_build() {
    lacks=
    checkout || return 1
    for program in cargo cc; do
        if ! in_checkout "$program" --version >/dev/null 2>&1; then
            lacks=$program
            return 1
        fi
    done
    megabytes=$(awk '/^(MemTotal|SwapTotal):/ { sum += $2 } END { print int(sum / 1000) }' /proc/meminfo)
    if [ "$megabytes" -lt "$BUILD_MEGABYTES" ]; then
        lacks="$BUILD_MEGABYTES MB"
        return 1
    fi
}

build_here() {
    ask_about_other
    ask "Build pm from $here, in about five minutes, and install it into $dir${present:+, in the place of pm $present}? \`pm update\` does not renew it; this script does." \
        "用 $here 编译 pm（约五分钟）并安装到 $dir${present:+（替换 pm $present）}吗？\`pm update\` 不会更新它，要再运行这个脚本。" || declined
    built=${CARGO_TARGET_DIR:-$here/target}
    case $built in
    /*) ;;
    *) built=$PWD/$built ;;
    esac
    in_checkout cargo build --release --package pm-cli --bin pm --target-dir "$built"
    make_new
    if ! cp "$built/release/pm" "$new" 2>"$work/why"; then cannot_write "$new"; fi
    put_in_place
}

no_way() {
    if [ -z "$build" ] && [ -n "$address" ]; then
        fail "there is no key here to check the release at $address with" "这里没有密钥来验证 $address 上的版本" \
            "run the install.sh of that release, which has it, or name the key: PM_UPDATE_KEY" \
            "请运行那个版本自带的 install.sh（里面有密钥），或给出密钥：PM_UPDATE_KEY"
    fi
    if [ -n "$lacks" ]; then
        fail "pm cannot be built here: $lacks is missing" "这里不能编译 pm：缺少 $lacks" \
            "building takes cargo (https://rustup.rs), cc (apt-get install gcc) and $BUILD_MEGABYTES MB of memory; or run the install.sh of a release; or copy a pm that was built elsewhere to $dir/pm" \
            "编译需要 cargo（https://rustup.rs）、cc（apt-get install gcc）和 $BUILD_MEGABYTES MB 内存；或运行某个版本自带的 install.sh；或把别处编译好的 pm 复制到 $dir/pm"
    fi
    fail "there is no release to install: this script has no address or key of one, and cannot build it here" \
        "没有可安装的版本：这个脚本里没有下载地址或密钥，这里也不能编译" \
        "run the install.sh of a release, or name its place and key (PM_RELEASE_URL, PM_UPDATE_KEY); or build it: in a checkout, with cargo and cc and 2 GB of memory; or copy a pm that was built elsewhere to $dir/pm" \
        "运行某个版本自带的 install.sh，或给出它的地址和密钥（PM_RELEASE_URL、PM_UPDATE_KEY）；或者编译：在源码目录里，需要 cargo、cc 和 2 GB 内存；或把别处编译好的 pm 复制到 $dir/pm"
}

main() {
    read_arguments "$@"
    require_root
    make_work
    look_at_present
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
}

main "$@"
