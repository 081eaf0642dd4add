# The files of the page as strings of C: those of one kind, by the end of their names, become one.
function finish() {
	if (kind != "")
		print ";"
}

BEGIN {
	print "/* Made by embed.awk. */"
	print "#include \"cli/page/parts.h\""
}

FNR == 1 {
	name = FILENAME
	sub(/^.*\./, "", name)
	if (name != kind) {
		finish()
		kind = name
		printf "\nconst char page_%s[] =", kind
	}
}

{
	gsub(/\\/, "&&")
	gsub(/"/, "\\\\&")
	gsub(/\t/, "\\t")
	printf "\n\t\"%s\\n\"", $0
}

END { finish() }
