# GitHub's interface, as far as comments and issues go. The gate and the alert source it.
#
# Needs curl and jq, and of the runner's environment GITHUB_API_URL and GITHUB_REPOSITORY; GATE_TOKEN is the token.

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
