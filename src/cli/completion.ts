/**
 * The scripts are thin: they hand the words to `netloom _complete` and answer with its lines; what is a file, a
 * directory or a command, the shell knows best. bash(1) "Programmable Completion", zshcompsys(1), fish complete(1).
 */
export function completionScript(shell: 'bash' | 'zsh' | 'fish'): string {
  return { bash: BASH, zsh: ZSH, fish: FISH }[shell];
}

const BASH = String.raw`# bash completion of netloom; made by: netloom completion bash
_netloom() {
  local line current
  COMPREPLY=()
  # COMP_WORDS is split at ':' and '=' too: put those words together again.
  local -a whole=()
  local index glue=
  for ((index = 1; index <= COMP_CWORD; index++)); do
    line=${'$'}{COMP_WORDS[index]}
    if [[ -n $glue || $line == [:=]* ]] && ((${'$'}{#whole[@]})); then
      whole[${'$'}{#whole[@]}-1]+=$line
    else
      whole+=("$line")
    fi
    [[ $line == *[:=] ]] && glue=1 || glue=
  done
  ((${'$'}{#whole[@]})) || whole=("")
  # After a space the last word is a new one, whatever stood before it.
  [[ -z ${'$'}{COMP_WORDS[COMP_CWORD]} && -n ${'$'}{whole[${'$'}{#whole[@]}-1]} ]] && [[ ${'$'}{COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && whole+=("")
  current=${'$'}{COMP_WORDS[COMP_CWORD]}
  [[ $current == [:=] ]] && current=
  local full=${'$'}{whole[${'$'}{#whole[@]}-1]}
  local head=${'$'}{full%"$current"}
  while IFS= read -r line; do
    case $line in
      :files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
      :directories) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
      :commands) mapfile -t COMPREPLY < <(compgen -c -- "$current" | sort -u) ;;
      *=) compopt -o nospace 2>/dev/null; COMPREPLY+=("${'$'}{line#"$head"}") ;;
      *) line=${'$'}{line%%$'\t'*}; COMPREPLY+=("${'$'}{line#"$head"}") ;;
    esac
  done < <("${'$'}{COMP_WORDS[0]}" _complete -- "${'$'}{whole[@]}" 2>/dev/null)
}
complete -F _netloom netloom
`;

const ZSH = String.raw`#compdef netloom
# zsh completion of netloom; made by: netloom completion zsh
_netloom() {
  local line name
  local -a found
  for line in "${'$'}{(@f)$("${'$'}{words[1]}" _complete -- "${'$'}{(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      '') ;;
      :files) _files ;;
      :directories) _files -/ ;;
      :commands) _command_names -e ;;
      *=) compadd -S '' -- "$line" ;;
      *$'\t'*) name=${'$'}{line%%$'\t'*}; found+=("${'$'}{name//:/\\:}:${'$'}{line#*$'\t'}") ;;
      *) found+=("${'$'}{line//:/\\:}") ;;
    esac
  done
  (( ${'$'}{#found} )) && _describe -t netloom 'netloom' found
}
if [ "$funcstack[1]" = "_netloom" ]; then _netloom "$@"; else compdef _netloom netloom; fi
`;

const FISH = String.raw`# fish completion of netloom; made by: netloom completion fish
function __netloom_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] _complete -- $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path $current
            case ':directories'
                __fish_complete_directories $current
            case ':commands'
                __fish_complete_command
            case '*'
                echo $line
        end
    end
end
complete -c netloom -f -a '(__netloom_complete)'
`;
