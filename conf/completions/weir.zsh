#compdef weir
# zsh completion for weir. What there is to complete is asked of the program itself (weir help), so that it cannot be out of date.

_weir_options() {
	local -a options
	options=(${(f)"$(_call_program options $words[1] help $1 2>/dev/null | grep -oE -- '(^|[ ,[])--?[A-Za-z][A-Za-z-]*' | tr -d ' ,[')"})
	compadd -- $options
}

_weir_subcommands() {
	local -a found
	found=(${(f)"$(_call_program subcommands weir help 2>/dev/null | sed -n 's/^  \([a-z]\{2,\}\)  *\([A-Z].*\)/\1:\2/p')"})
	_describe subcommand found
}

_weir_hosts() {
	compadd -- ${(f)"$(WEIR_AGENT=off weir status 2>/dev/null | sed -n '1!s/^\([^ ]*[a-z0-9]\)  .*/\1/p')"}
}

_weir_presets() {
	compadd -- ${(f)"$(weir preset list 2>/dev/null | sed -n '1!s/^\([a-z0-9.-]*\)  .*/\1/p')"}
}

_weir() {
	if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
		_weir_subcommands
		_command_names -e
		return
	fi
	case $words[2] in
	run | -*)
		if [[ ${words[CURRENT-1]} == (-p|--priority) ]]; then
			compadd high normal low
		elif [[ $words[CURRENT] == -* ]]; then
			_weir_options run
		else
			_command_names -e
			_files
		fi ;;
	doctor) _command_names -e ;;
	help) _weir_subcommands ;;
	config) if ((CURRENT == 3)); then compadd check show; else _files; fi ;;
	preset) if ((CURRENT == 3)); then compadd list show enable disable; else _weir_presets; fi ;;
	alert) if ((CURRENT == 3)); then compadd list silence ack test; else _weir_hosts; fi ;;
	breaker) if ((CURRENT == 4)); then compadd open close auto; else _weir_hosts; fi ;;
	explain)
		if [[ ${words[CURRENT-1]} == (-X|--method) ]]; then
			compadd GET HEAD POST PUT DELETE PATCH OPTIONS
		elif [[ $words[CURRENT] == -* ]]; then
			_weir_options explain
		else
			_weir_hosts
		fi ;;
	*) if [[ $words[CURRENT] == -* ]]; then _weir_options $words[2]; else _weir_hosts; fi ;;
	esac
}

_weir "$@"
