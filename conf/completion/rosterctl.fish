# SPDX-License-Identifier: Apache-2.0
# Completion of rosterctl(1) for fish.  What can be typed, rosterctl itself knows.

function __rosterctl_complete
    set -l words (commandline -opc)
    set -l found ($words[1] complete $words[2..-1] (commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end

complete -c rosterctl -f -a '(__rosterctl_complete)'
