# SPDX-License-Identifier: Apache-2.0
# Makes rosterd-schema(5) of doc/schema.md.  It knows as much Markdown as stands there: headings,
# paragraphs, lists, tables of columns, code, `names`.

function escape(text) {
        gsub(/\\/, "\\e", text)
        return text
}

# A line of text as a macro: `names` in a typewriter face.
function inline(text, parts, n, i, out) {
        gsub(/\[[^]]*\]\([^)]*\)/, "", text)
        n = split(escape(text), parts, "`")
        out = ""
        for (i = 1; i <= n; i++)
                out = out (i % 2 ? parts[i] : "\\fB" parts[i] "\\fP")
        if (out ~ /^[.']/) out = "\\&" out # it would be a request
        gsub(/\. /, ".\n", out) # a sentence, a line
        gsub(/\? /, "?\n", out)
        return out
}

function end_list() {
        if (list) print ".El"
        list = ""
}

function begin_list(kind) {
        if (list == kind) return
        end_list()
        print kind == "bullet" ? ".Bl -bullet" : ".Bl -tag -width Ds"
        list = kind
}

function cell(text) {
        gsub(/^ +| +$/, "", text)
        return text
}

BEGIN {
        print ".\\\" Made by schema-man.awk of schema.md."
        print ".Dd November 27, 2026"
        print ".Dt ROSTERD-SCHEMA 5"
        print ".Os"
        print ".Sh NAME"
        print ".Nm rosterd-schema"
        print ".Nd the database of rosterd"
}

/^```/ {
        if (code) print ".Ed"
        else {
                end_list()
                print ".Bd -literal -offset indent"
        }
        code = !code
        next
}
code {
        text = escape($0)
        print text ~ /^[.']/ ? "\\&" text : text
        next
}

/^# / { print ".Sh DESCRIPTION"; begun = 1; next }
/^## / {
        end_list()
        title = substr($0, 4)
        gsub(/`/, "", title)
        print title ~ /[a-z]_|^[a-z]/ ? ".Ss " title : ".Sh " toupper(title)
        begun = 1
        next
}

/^\|[-| ]+\|$/ || /^\| Column / { next }
/^\|/ {
        split($0, cells, "|")
        begin_list("tag")
        print ".It Sy " substr(cell(cells[2]), 2, length(cell(cells[2])) - 2) " Pq " cell(cells[3])
        print inline(cell(cells[4])) "."
        null = cell(cells[5])
        if (null != "never") print "NULL: " inline(null) "."
        next
}

/^- / {
        begin_list("bullet")
        print ".It"
        print inline(substr($0, 3))
        next
}
/^    [^ ]/ { # an indented line of code
        end_list()
        print ".Dl " escape(substr($0, 5))
        next
}
/^$/ { gap = 1; next }
{
        if (list && gap) end_list()
        if (gap && !begun) print ".Pp"
        gap = begun = 0
        print inline($0)
}
{ gap = 0 }

END {
        end_list()
        print ".Sh SEE ALSO"
        print ".Xr rosterctl 1 ,"
        print ".Xr sqlite3 1 ,"
        print ".Xr rosterd 8"
}
