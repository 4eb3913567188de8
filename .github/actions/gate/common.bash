# What the gate and the nights have in common: words to the runner, the project's chores, GitHub's interface. Sourced.
#
# Needs curl and jq, and of the runner's environment GITHUB_API_URL and GITHUB_REPOSITORY; GATE_TOKEN is the token.
shopt -s inherit_errexit

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)"
RUST_VERSION="$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$project/Cargo.toml")"
export RUSTUP_TOOLCHAIN="${RUSTUP_TOOLCHAIN:-$RUST_VERSION}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$project/target}" CARGO_TERM_COLOR=never NO_COLOR=1

# Each argument as a line.
say() { printf '%s\n' "$@"; }

# A command of the workflow: `annotate warning TITLE TEXT`.
annotate() {
  local title="${2//'%'/%25}" text="${3//'%'/%25}"
  title="${title//:/%3A}" title="${title//,/%2C}"
  text="${text//$'\r'/%0D}" text="${text//$'\n'/%0A}"
  say "::$1 title=$title::$text"
}

refuse() {
  annotate error "Featherweight gate" "$1"
  exit 2
}

output() { say "$1=$2" >>"${GITHUB_OUTPUT:-/dev/null}"; }

# Containers and virtual machines take root; results and caches are the runner's own again afterwards.
as_root() {
  if ((EUID == 0)) || [[ "${GATE_ROOT:-true}" != true ]]; then
    "$@"
    return
  fi
  local code=0
  sudo --preserve-env env "PATH=$PATH" "HOME=$HOME" "$@" || code=$?
  sudo chown -R "$(id -u):$(id -g)" "$CARGO_TARGET_DIR" "${CARGO_HOME:-$HOME/.cargo}" "${folder:-$CARGO_TARGET_DIR}"
  return "$code"
}

# A command, whose words the runner does not take for commands of the workflow, whatever it prints.
muffled() {
  local token code=0
  token="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
  say "::stop-commands::$token"
  "$@" || code=$?
  say "::$token::"
  return "$code"
}

# A command that is seen and kept in the file; the code is the command's.
logged() {
  local file="$1"
  shift
  "$@" 2>&1 | tee "$file"
}

# Rust beside the version that the job uses, which stays the one it uses.
install_rust() {
  command -v rustup >/dev/null || refuse "no rustup here: Rust $RUST_VERSION is needed"
  rustup toolchain install "$RUST_VERSION" --profile minimal --no-self-update
}

# From its own folder, since a calling repository may have a configuration of Cargo of its own.
xtask() { (cd "$project" && as_root cargo run --quiet --locked --release --package xtask -- "$@"); }

# A request: method, path below the repository, and the file that holds its JSON. The token is no argument: those can be
# read by every process on the machine.
api() {
  local method="$1" path="$2" body="${3:-}"
  local arguments=(--silent --show-error --fail-with-body --max-time 30 --request "$method")
  [[ -z "$body" ]] || arguments+=(--data-binary "@$body")
  curl --config <(printf 'header = "Authorization: Bearer %s"\n' "$GATE_TOKEN") "${arguments[@]}" \
    --header "Accept: application/vnd.github+json" --header "X-GitHub-Api-Version: 2022-11-28" \
    "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/$path"
}

# The first of a list, page by page, whose text has the marker and that an app wrote: its field. The path ends in `?` or
# `&`. Anybody can write a comment with a marker in it; nobody's is edited.
find_marked() {
  local path="$1" marker="$2" field="$3" page list found
  for ((page = 1; page <= 50; page++)); do
    list="$(api GET "${path}per_page=100&page=$page")" || return
    found="$(jq --raw-output --arg marker "$marker" --arg field "$field" \
      'map(select(.user.type == "Bot" and (.body // "" | contains($marker)))) | first | .[$field] // empty' <<<"$list")"
    [[ -z "$found" ]] || break
    (($(jq length <<<"$list") == 100)) || break
  done
  echo "$found"
}
