# bash completion for weir. What there is to complete is asked of the program itself (weir help), so that it cannot be out of date.

_weir_options() { "$1" help "$2" 2>/dev/null | grep -oE -- '(^|[ ,[])--?[A-Za-z][A-Za-z-]*' | tr -d ' ,[' | sort -u; }
_weir_subcommands() { "$1" help 2>/dev/null | sed -n 's/^  \([a-z]\{2,\}\)  *[A-Z].*/\1/p'; }
_weir_hosts() { WEIR_AGENT=off "$1" status 2>/dev/null | sed -n '1!s/^\([^ ]*[a-z0-9]\)  .*/\1/p'; }
_weir_presets() { "$1" preset list 2>/dev/null | sed -n '1!s/^\([a-z0-9.-]*\)  .*/\1/p'; }

# Fills COMPREPLY with those of the words that the current one begins.
_weir_reply() {
	local IFS=$'\n'
	COMPREPLY=($(compgen -W "$1" -- "$cur"))
	! declare -F __ltrim_colon_completions >/dev/null || __ltrim_colon_completions "$cur"
}

# The position of the command that `weir run` would run; nothing where the cursor is still among weir's own options.
_weir_command_at() {
	local i word options=$2
	for ((i = $1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--) echo $((i + 1)) && return ;;
		-*) [[ $word == *=* || ! $options =~ (^|[[:space:]])$word(,\ --[a-z-]+)?\ [A-Z] ]] || ((i++)) ;;
		*) echo "$i" && return ;;
		esac
	done
	[[ ${COMP_WORDS[COMP_CWORD]} == -* ]] || ((i > COMP_CWORD)) || echo "$COMP_CWORD"
}

_weir_run() {
	local at
	at=$(_weir_command_at "$1" "$("${COMP_WORDS[0]}" help run 2>/dev/null)")
	if [ -z "$at" ] && [[ ${COMP_WORDS[COMP_CWORD - 1]} == @(-p|--priority) ]]; then
		_weir_reply "high"$'\n'"normal"$'\n'"low"
	elif [ -z "$at" ]; then
		_weir_reply "$(_weir_options "${COMP_WORDS[0]}" run)"
	elif declare -F _command_offset >/dev/null; then
		_command_offset "$at"
	else
		COMPREPLY=($(compgen -A command -- "$cur" | sort -u))
	fi
}

_weir() {
	local cur=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} subcommand=${COMP_WORDS[1]}
	! declare -F _get_comp_words_by_ref >/dev/null || _get_comp_words_by_ref -n : cur
	if [ "$COMP_CWORD" -eq 1 ] && [[ $cur != -* ]]; then
		_weir_reply "$(_weir_subcommands "$program")"
		[ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -A command -- "$cur" | sort -u))
		return
	fi
	case $subcommand in
	run) _weir_run 2 ;;
	-*) _weir_run 1 ;;
	doctor) if [[ $cur == -* ]]; then _weir_reply "$(_weir_options "$program" doctor)"; else COMPREPLY=($(compgen -A command -- "$cur" | sort -u)); fi ;;
	help) _weir_reply "$(_weir_subcommands "$program")" ;;
	config) case $COMP_CWORD in 2) _weir_reply "check"$'\n'"show" ;; *) COMPREPLY=($(compgen -f -- "$cur")) ;; esac ;;
	preset) case $COMP_CWORD in 2) _weir_reply "list"$'\n'"show"$'\n'"enable"$'\n'"disable" ;; *) _weir_reply "$(_weir_presets "$program")" ;; esac ;;
	alert) if [ "$COMP_CWORD" -eq 2 ]; then _weir_reply "list"$'\n'"silence"$'\n'"ack"$'\n'"test"; else _weir_reply "$(_weir_hosts "$program")"; fi ;;
	breaker) if [ "$COMP_CWORD" -eq 3 ]; then _weir_reply "open"$'\n'"close"$'\n'"auto"; else _weir_reply "$(_weir_hosts "$program")"; fi ;;
	explain) case ${COMP_WORDS[COMP_CWORD - 1]} in
		-X | --method) _weir_reply "$(printf '%s\n' GET HEAD POST PUT DELETE PATCH OPTIONS)" ;;
		*) if [[ $cur == -* ]]; then _weir_reply "$(_weir_options "$program" explain)"; else _weir_reply "$(_weir_hosts "$program")"; fi ;;
		esac ;;
	*) if [[ $cur == -* ]]; then _weir_reply "$(_weir_options "$program" "$subcommand")"; else _weir_reply "$(_weir_hosts "$program")"; fi ;;
	esac
}

complete -F _weir weir
