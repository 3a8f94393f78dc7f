# fish completion for weir. What there is to complete is asked of the program itself (weir help), so that it cannot be out of date.

function __weir_subcommands
    weir help 2>/dev/null | string replace -rf '^  ([a-z]{2,})  +([A-Z].*)' '$1\t$2'
end

function __weir_subcommand
    set -l words (commandline -opc)
    test (count $words) -ge 2; and echo $words[2]
end

# The options of the subcommand that stands on the line, or those of `run`, which are understood without the word.
function __weir_options
    set -l subcommand (__weir_subcommand)
    string match -qr '^[a-z]' -- "$subcommand"; or set subcommand run
    weir help $subcommand 2>/dev/null | string match -ra -- '(?:^|[ ,[])(--?[A-Za-z][A-Za-z-]*)' | string replace -ra '[ ,[]' '' | sort -u
end

function __weir_hosts
    env WEIR_AGENT=off weir status 2>/dev/null | string replace -rf '^([^ ]*[a-z0-9])  .*' '$1'
end

function __weir_presets
    weir preset list 2>/dev/null | string replace -rf '^([a-z0-9.-]+)  .*' '$1'
end

function __weir_is
    contains -- (__weir_subcommand) $argv
end

function __weir_at
    test (count (commandline -opc)) -eq $argv[1]
end

complete -c weir -f
complete -c weir -n '__weir_at 1' -a '(__weir_subcommands)'
complete -c weir -n '__weir_at 1; or __weir_is run doctor' -a '(__fish_complete_command)'
complete -c weir -n 'string match -q -- "-*" (commandline -ct)' -a '(__weir_options)'
complete -c weir -n '__weir_is help' -a '(__weir_subcommands)'
complete -c weir -n '__weir_is config; and __weir_at 2' -a 'check show'
complete -c weir -n '__weir_is config; and __weir_at 3' -F
complete -c weir -n '__weir_is preset; and __weir_at 2' -a 'list show enable disable'
complete -c weir -n '__weir_is preset; and __weir_at 3' -a '(__weir_presets)'
complete -c weir -n '__weir_is run; and string match -qr -- "^(-p|--priority)\$" (commandline -opc)[-1]' -a 'high normal low'
complete -c weir -n '__weir_is alert; and __weir_at 2' -a 'list silence ack test'
complete -c weir -n '__weir_is alert; and __weir_at 3' -a '(__weir_hosts)'
complete -c weir -n '__weir_is breaker; and __weir_at 3' -a 'open close auto'
complete -c weir -n '__weir_is explain; and string match -qr -- "^(-X|--method)\$" (commandline -opc)[-1]' -a 'GET HEAD POST PUT DELETE PATCH OPTIONS'
complete -c weir -n '__weir_is explain; and not __weir_at 2; and not string match -qr -- "^(-X|--method)\$" (commandline -opc)[-1]' -a '(__weir_hosts)'
complete -c weir -n "__weir_is status stats explain events top ps set reset breaker check quota; and __weir_at 2" -a '(__weir_hosts)'
