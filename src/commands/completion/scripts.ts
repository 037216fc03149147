/**
 * The scripts call `vring __complete`, which knows the tree of commands, so they need no update when vring is upgraded.
 * User input is passed on as words and never evaluated.
 */
export function completionScript(shell: 'bash' | 'zsh' | 'fish'): string {
  return SCRIPTS[shell];
}

/** bash splits words at ":" and "=", including PCI addresses: the script joins them, and strips the prefix from the answers. */
const BASH = `# bash completion for vring; made by: vring completion bash
_vring() {
  local rest=\${COMP_LINE:0:COMP_POINT} words=() word trimmed
  for word in "\${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    trimmed=\${rest#"\${rest%%[![:space:]]*}"}
    word=\${trimmed:0:\${#word}}
    if [[ \${#words[@]} == 0 || $trimmed != "$rest" ]]; then
      words+=("$word")
    else
      words[-1]+=$word
    fi
    rest=\${trimmed:\${#word}}
  done
  local answer
  mapfile -t answer < <("\${1/#\\~/$HOME}" __complete -- "\${words[@]:1}" 2>/dev/null)
  COMPREPLY=()
  case \${answer[0]} in
    files) compopt -o filenames ;;
    directories) compopt +o default -o dirnames ;;
    words)
      compopt +o default
      local current=\${words[-1]} cut=
      [[ $COMP_WORDBREAKS == *:* ]] && cut=\${current%"\${current##*[:=]}"}
      for word in "\${answer[@]:1}"; do
        word=\${word%%$'\\t'*}
        COMPREPLY+=("\${word#"$cut"}")
      done
      ;;
  esac
}
complete -o default -F _vring vring
`;

const ZSH = `#compdef vring
# zsh completion for vring; made by: vring completion zsh
_vring() {
  local -a answer candidates
  answer=("\${(@f)$(\${~words[1]} __complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  case $answer[1] in
    files) compset -P '*='; _files ;;
    directories) compset -P '*='; _files -/ ;;
    words)
      candidates=("\${(@)\${(@)answer[2,-1]//:/\\\\:}//$'\\t'/:}")
      (( $#answer > 1 )) && _describe -t words 'vring' candidates
      ;;
  esac
}
if [[ $funcstack[1] == _vring ]]; then
  _vring "$@"
else
  compdef _vring vring
fi
`;

const FISH = `# fish completion for vring; made by: vring completion fish
function __vring_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
  set -l answer ($program __complete -- $words[2..-1] "$current" 2>/dev/null)
  set -l option (string match -r -- '^-[^=]*=' "$current")
  set -l value (string replace -r -- '^-[^=]*=' '' "$current")
  switch "$answer[1]"
    case files
      printf "$option%s\\n" (__fish_complete_path "$value")
    case directories
      printf "$option%s\\n" (__fish_complete_directories "$value" '')
    case words
      set -e answer[1]
      printf '%s\\n' $answer
  end
end
complete -c vring -f -a '(__vring_complete)'
`;

const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH } as const;
