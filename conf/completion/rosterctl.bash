# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of rosterctl(1) for bash.  What can be typed, rosterctl itself knows.

_rosterctl() {
        local word line words=()
        for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
                [[ $word == "=" ]] || words+=("$word") # bash takes --account=NAME apart
        done
        word=${words[-1]-}
        [[ ${COMP_WORDS[COMP_CWORD]} != "=" ]] || { word='' && words+=(''); }
        COMPREPLY=()
        while IFS=$'\t' read -r line _; do
                [[ $line != "$word"* ]] || COMPREPLY+=("$(printf %q "$line")")
        done < <("$1" complete "${words[@]}" 2>/dev/null)
        [[ ${#COMPREPLY[@]} -gt 0 ]] || compopt -o default 2>/dev/null # files
}
complete -F _rosterctl rosterctl
