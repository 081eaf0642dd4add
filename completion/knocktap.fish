# Completion of knocktap(1) for fish. Options are what --help prints; profiles come from their file.

function __knocktap_profiles
    set -l directory $HOME/.config
    set -q XDG_CONFIG_HOME; and set directory $XDG_CONFIG_HOME
    set -l file $directory/knocktail/hosts
    set -l words (commandline -opc)
    set -l at (contains -i -- -F $words); and set file $words[(math $at + 1)]
    test -r $file; and string replace -rf '^\s*\[\s*([^]]*?)\s*\].*' '$1' <$file
end

function __knocktap_options
    knocktap --help 2>/dev/null |
        string replace -rf '^ *(?:-[a-zA-Z0-9], )?(--[a-z0-9-]+)(?: [A-Z]+)?  +(.*)$' '$1\t$2'
end

complete -c knocktap -f
complete -c knocktap -n 'string match -q -- "-*" (commandline -ct)' -a '(__knocktap_options)'
complete -c knocktap -a '(__knocktap_profiles)\tprofile'
complete -c knocktap -a '(__fish_print_hostnames)'
complete -c knocktap -s k -l key -r -F
complete -c knocktap -s F -r -F
complete -c knocktap -l source -x -a 'auto none'
