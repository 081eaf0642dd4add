# Completion of knocktail(1) for fish. Verbs and options are what --help prints; doors and addresses come
# from the running daemon.

function __knocktail_verbs
    knocktail --help 2>/dev/null | string replace -rf '^  ([a-z][a-z-]*)  +(.*)$' '$1\t$2'
end

# The words before the current one that are neither options nor their arguments, without the program's
# name: verb first.
function __knocktail_words
    set -l before ''
    for word in (commandline -opc)[2..]
        if not string match -q -- '-*' $word; and not contains -- "$before" -f --for -o --output -c --config
            echo $word
        end
        set before $word
    end
end

function __knocktail_forms
    knocktail (__knocktail_verb) --help 2>/dev/null |
        string match -rg '\[-o ([a-z|]*)\]' | head -n 1 | string split '|'
end

function __knocktail_verb
    set -l words (__knocktail_words)
    echo $words[1]
end

# Whether the verb is one of these, and has so many arguments so far.
function __knocktail_at
    set -l words (__knocktail_words)
    test (count $words) -eq (math $argv[1] + 1); and contains -- $words[1] $argv[2..]
end

function __knocktail_options
    knocktail (__knocktail_verb) --help 2>/dev/null |
        string replace -rf '^ *(?:-[a-z], )?(--[a-z-]+)(?: [A-Z]+)?  +(.*)$' '$1\t$2'
end

function __knocktail_sources
    set -l words (__knocktail_words)
    knocktail list $words[2] 2>/dev/null | cut -f 2 | sort -u
end

complete -c knocktail -f
complete -c knocktail -s o -l output -x -a '(__knocktail_forms)'
complete -c knocktail -s f -l for -x -a '1min 10min 1h 8h'
complete -c knocktail -l firewall -x -a 'nft iptables ufw firewalld'
complete -c knocktail -s c -l config -r -F
complete -c knocktail -l page -r -F
complete -c knocktail -n 'test -z (__knocktail_verb)' -a '(__knocktail_verbs)'
complete -c knocktail -n 'test -n (__knocktail_verb); and string match -q -- "-*" (commandline -ct)' -a '(__knocktail_options)'
complete -c knocktail -n '__knocktail_at 0 open close list doctor' -a '(knocktail list --doors 2>/dev/null)'
complete -c knocktail -n '__knocktail_at 1 open close' -a '(__knocktail_sources)'
complete -c knocktail -n '__knocktail_at 0 rules' -a 'ipset iptables ufw nft firewalld'
complete -c knocktail -n '__knocktail_at 0 help' -a '(__knocktail_verbs)'
complete -c knocktail -n '__knocktail_at 0 import; or __knocktail_at 1 page' -F
