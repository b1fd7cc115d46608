# shellcheck shell=sh
# lib.sh owns what the scripts share: where the project is, how they speak, how missing packages are installed.
# Sourced with $0 inside scripts/ or .ci/; needs nothing but a POSIX shell and Debian's base system.

project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 1
cd "$project" || exit 1

say() { printf '%s\n' "==> $*"; }
fail() {
    printf '%s\n' "error: $*" >&2
    exit 1
}

packages_of() { # packages_of GROUP...: their Debian packages
    for group in "$@"; do
        case $group in
        build) echo gcc libc6-dev cmake ninja-build pkg-config libmicrohttpd-dev libjansson-dev libsodium-dev \
            zlib1g-dev libbrotli-dev libpq-dev libcurl4-openssl-dev libzip-dev libnlopt-dev ;;
        runtime) echo libmicrohttpd12 libjansson4 libsodium23 zlib1g libbrotli1 libpq5 libcurl4 libzip4 libnlopt0 \
            ca-certificates ;;
        test) echo libcmocka-dev postgresql-15 pgbouncer openssl faketime \
            python3 python3-pytest python3-jsonschema python3-yaml ;;
        full) echo git clang-14 libclang-rt-14-dev llvm-14 clang-tidy-14 clang-format-14 gcovr shellcheck debootstrap ;;
        deploy) echo prometheus docker-registry nginx-light docker-compose strace unzip systemd ca-certificates debootstrap \
            python3 python3-pytest python3-jsonschema python3-yaml ;;
        bench) echo wrk ;;
        *) fail "unknown group of packages: $group" ;;
        esac
    done
}

missing_of() { # missing_of PACKAGE...: those that are not installed
    for package in "$@"; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
        installed) ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@" # without a terminal nobody can type a password
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=2 "$@" </dev/null >>"$install_log" 2>&1
}

apt_install() { # apt_install PACKAGE...: with fresh lists if the present ones do not do
    apt install --no-install-recommends "$@" && return
    say "Fetching the package lists"
    apt update || apt update || fail "apt-get update failed: $(tail -n 3 "$install_log")"
    apt install --no-install-recommends "$@" || fail "apt-get could not install $*: $(tail -n 5 "$install_log")"
}

# shellcheck disable=SC2086 # lists of words
install_missing() { # install_missing GROUP...: does nothing, and needs no rights, when everything is there
    packages=$(packages_of "$@") || exit 1
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        say "No apt-get here, so these must be installed already:" $packages
        return
    fi
    missing=$(missing_of $packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        fail "these Debian packages are missing: $missing
Run this as root, install sudo, or let somebody run: apt-get install $missing"
    fi
    say "Installing $missing"
    install_log=$(mktemp) || exit 1
    apt_install $missing
    rm -f "$install_log"
}

# Sanitizers of this age fail on kernels that scatter addresses wider; there the tests run without that.
without_scatter() {
    bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
    if [ "$bits" -gt 28 ] && setarch -R true 2>/dev/null; then
        setarch -R "$@"
    else
        "$@"
    fi
}

run_tests() { # run_tests PRESET [CTEST OPTION...]: more at once than there are processors, as many of them mostly wait
    preset=$1
    shift
    without_scatter ctest --preset "$preset" -j "$(($(nproc) * 2))" "$@"
}

build() { # build FOLDER PRESET [CMAKE OPTION...]: into build/FOLDER, quietly unless something is wrong
    folder=build/$1
    preset=$2
    shift 2
    say "Building $folder"
    mkdir -p build
    if ! { cmake --preset "$preset" -B "$folder" "$@" && cmake --build "$folder"; } >"$folder.log" 2>&1; then
        tail -n 60 "$folder.log"
        printf '%s\n' "error: $folder does not build; all of the output is in $folder.log" >&2
        return 1
    fi
}

install_npm() { # where Node.js is not Debian's, npm comes with it
    command -v npm >/dev/null && return
    install_log=$(mktemp) || exit 1
    apt_install nodejs npm
    rm -f "$install_log"
}

debian=build/debian # a bare Debian 12, which takes minutes to download: kept for the day

keep_debian() { # makes it, as root; status 1 if it cannot be had, the reason in build/debian.log
    [ "$(cat $debian.day 2>/dev/null)" != "$(date +%F)" ] || return 0
    mkdir -p build
    rm -rf --one-file-system $debian $debian.day
    debootstrap --variant=minbase bookworm $debian >$debian.log 2>&1 || return 1
    date +%F >$debian.day
}

put_debian() { # put_debian FOLDER: a copy of it in the empty folder
    keep_debian || return 1
    cp -a --reflink=auto $debian/. "$1"
}
