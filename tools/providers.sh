#!/bin/bash
# providers.sh - prints <LLMuxProvider> sections for the keys that are in the
# environment, by the rows of tools/models, and the demo. What it could not
# use it says on stderr. Keys are named, never printed.
set -euo pipefail

models_file=${LLMUX_MODELS:-$(dirname "$0")/models}
port=${PORT:-8080}

remark() {
    echo "note: $*" >&2
}

# The first of the variables (a,b,c) that says something.
first_set() {
    local name

    for name in ${1//,/ }; do
        if [ -n "${!name:-}" ]; then
            echo "$name"
            return
        fi
    done
}

# What may stand between quotation marks in httpd's configuration.
plain_url() {
    [[ $1 =~ ^https?://[][A-Za-z0-9._~:/@%+-]+$ ]]
}

plain_models() {
    [[ $1 =~ ^[A-Za-z0-9._:/@+\ -]+$ ]]
}

# Clients of ours are told our address in the same variable.
our_own() {
    [[ $1 =~ ^https?://(127\.[0-9.]+|localhost|\[::1\]):"$port"(/|$) ]]
}

# The address that the user gave a provider, if it is of use.
base_url() {
    local name=$1 url=${!1:-}

    if [ -z "$url" ]; then
        return
    elif ! plain_url "$url"; then
        remark "$name is no http(s) URL; it is not used"
    elif our_own "$url"; then
        remark "$name is this gateway's own address; it is not used"
    else
        echo "${url%/}"
    fi
}

# section NAME TYPE URL KEY MODELS [DIRECTIVE]; "" leaves a line out
section() {
    local lines=()

    [ -z "$2" ] || lines+=("LLMuxType $2")
    [ -z "$3" ] || lines+=("LLMuxBaseURL \"$3\"")
    [ -z "$4" ] || lines+=("LLMuxAPIKey env:$4")
    lines+=("LLMuxModels $5")
    [ -z "${6:-}" ] || lines+=("$6")
    echo "<LLMuxProvider $1>"
    printf '    %s\n' "${lines[@]}"
    echo "</LLMuxProvider>"
}

# Whatever answers at an OPENAI_BASE_URL of somebody else's speaks chat, but
# may lack what is OpenAI's alone, and need no key.
openai() {
    local key=$1 models=$2 url type=

    url=$(base_url OPENAI_BASE_URL)
    case $url in
    '' | https://api.openai.com/* | https://*.api.openai.com/*) ;;
    *) type=openai-compatible ;;
    esac
    [ -n "$key" ] || [ -n "$type" ] || return 0
    section openai "$type" "$url" "$key" "$models"
}

azure() {
    local key=$1 models=$2 url version=

    [ -n "$key" ] || return 0
    url=$(base_url AZURE_OPENAI_ENDPOINT)
    if [ -z "$url" ]; then
        remark "$key is set, AZURE_OPENAI_ENDPOINT is not: Azure is left out"
        return
    fi
    if [ -n "${AZURE_OPENAI_DEPLOYMENT:-}" ]; then
        models=${AZURE_OPENAI_DEPLOYMENT//,/ }
    elif [ -z "${AZURE_MODELS:-}" ]; then
        remark "AZURE_OPENAI_DEPLOYMENT is not set: taking $models"
    fi
    if ! plain_models "$models"; then
        remark "AZURE_OPENAI_DEPLOYMENT has strange characters in it:" \
            "Azure is left out"
        return
    fi
    case $url in
    */openai/v1)
        section azure "" "${url%/openai/v1}" "$key" "$models" \
            "LLMuxAzureAPI v1"
        return
        ;;
    esac
    if [[ ${AZURE_OPENAI_API_VERSION:-} =~ ^[a-z0-9-]+$ ]]; then
        version="LLMuxAPIVersion $AZURE_OPENAI_API_VERSION"
    fi
    section azure "" "$url" "$key" "$models" "$version"
}

other() {
    local name=$1 prefix=$2 key=$3 models=$4

    [ -n "$key" ] || return 0
    section "$name" "" "$(base_url "${prefix}_BASE_URL")" "$key" "$models"
}

row() {
    local name=$1 key prefix=${1^^} own models=$3

    key=$(first_set "$2")
    own=${prefix//-/_}_MODELS
    if [ -n "${!own:-}" ]; then
        models=${!own//,/ }
        if ! plain_models "$models"; then
            remark "$own has strange characters in it; it is not used"
            models=$3
        fi
    fi
    case $name in
    openai) openai "$key" "$models" ;;
    azure)  azure "$key" "$models" ;;
    *)      other "$name" "${prefix//-/_}" "$key" "$models" ;;
    esac
}

while read -r name keys models; do
    case $name in
    '' | '#'*) ;;
    *) row "$name" "$keys" "$models" ;;
    esac
done <"$models_file"
# It needs no network and no key.
section demo "" "" "" demo
