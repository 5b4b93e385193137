# edxconsole probe for hosts without Python: the essentials in POSIX sh and awk (dash, busybox ash).
# The same frames as agent.py, marked shell; read from stdin by the shell that runs it, never written
# to the host's disk. Text outside printable ASCII becomes "?". Lines stay under 4000 bytes, so that
# the writers of one pipe never mix. It ends at EOF on stdin or 30 s after the last command.
LC_ALL=C
export LC_ALL
umask 077
AWK=awk
case $(awk -W version 2>/dev/null </dev/null) in mawk*) AWK='awk -W interactive' ;; esac

# JSON text of $1, printable ASCII only
quote() {
  printf '%s' "$1" | tr -c '\040-\176' '?' | sed 's/[\\"]/\\&/g'
}

reply() {
  printf '{"k":"reply","id":%s,"error":"%s","value":%s}\n' "$1" "$2" "${3:-null}"
}

hello() {
  set -- "$(id -u)" "$(quote "$(id -un)")" "$(quote "$(uname -n)")" "$(quote "$(uname -r)")" \
    "$(grep -c '^processor' /proc/cpuinfo 2>/dev/null)" "$(getconf CLK_TCK 2>/dev/null || echo 100)" \
    "$($AWK '/^btime/ { print $2 }' /proc/stat)" "$(date +%z)"
  zone=$(echo "$8" | $AWK '{ s = substr($1, 1, 1) == "-" ? -1 : 1
    print s * (substr($1, 2, 2) * 3600 + substr($1, 4, 2) * 60) }')
  printf '{"k":"hello","edxprobe":1,"python":"","pid":%s,"uid":%s,"user":"%s","hostname":"%s",' $$ "$1" "$2" "$3"
  printf '"kernel":"%s","cores":%s,"ticks":%s,"boot":%s,"zone":%s,"caps":["files"],"ro":1,"shell":1}\n' \
    "$4" "${5:-1}" "$6" "$7" "$zone"
}

# Processes, listeners and vitals, each second, from one awk that keeps what it sent
sampler() {
  exec $AWK -v page="$(($(getconf PAGESIZE 2>/dev/null || echo 4096) / 1024))" '
  function esc(s) {
    gsub(/[^ -~]/, "?", s)
    gsub(/\\/, "\\\\", s)
    gsub(/"/, "\\\"", s)
    return "\"" s "\""
  }
  function hex(s,  i, v) {
    v = 0
    for (i = 1; i <= length(s); i++) v = v * 16 + index("0123456789abcdef", tolower(substr(s, i, 1))) - 1
    return v
  }
  function ip4(h) { return hex(substr(h, 7, 2)) "." hex(substr(h, 5, 2)) "." hex(substr(h, 3, 2)) "." hex(substr(h, 1, 2)) }
  function ip6(h,  i, w, s, p) {
    if (h ~ /^0+$/) return "::"
    if (substr(h, 1, 24) == "0000000000000000FFFF0000") return ip4(substr(h, 25))
    s = ""
    for (i = 0; i < 4; i++) {
      w = substr(h, i * 8 + 1, 8)
      p = tolower(substr(w, 7, 2) substr(w, 5, 2) ":" substr(w, 3, 2) substr(w, 1, 2))
      s = s (i ? ":" : "") p
    }
    return s == "0000:0000:0000:0000:0000:0000:0000:0001" ? "::1" : s
  }
  # secrets in one argument; hide says that the whole argument is one
  function mask(a,  l, i) {
    while (match(a, /:\/\/[^\/@ ]*:[^ ]*@/)) a = substr(a, 1, RSTART - 1) "://\001" substr(a, RSTART + RLENGTH)
    gsub(/\001/, "***@", a)
    l = tolower(a)
    if (match(l, /(pass|pwd|secret|token|api[-_]?key|private|credential|cookie|auth)[^ =]*=/))
      return substr(a, 1, RSTART + RLENGTH - 1) "***"
    if (match(l, /authorization: *|(password|secret|token)[^ ]* /)) return substr(a, 1, RSTART + RLENGTH - 1) "***"
    return a
  }
  function argv(raw,  n, i, part, s, a, hide, tool) {
    n = split(raw, part, "\001")
    s = ""
    hide = 0
    tool = part[1]
    sub(/^.*\//, "", tool)
    for (i = 1; i <= n && length(s) < 900; i++) {
      a = part[i]
      if (i == n && a == "") break
      if (hide) { a = "***"; hide = 0 }
      else if (i > 1 && tolower(a) ~ /^--?[a-z0-9._-]*(pass|pwd|secret|token|api[-_]?key|private|credential|auth)[a-z0-9._-]*$/) hide = 1
      else if (a == "-p" && tool !~ /^(ssh|mkdir|cp)$/ && part[i + 1] !~ /^[0-9]+$/) hide = 1
      else if (a ~ /^-p./ && tool ~ /^(mysql|maria|mongo|sshpass)/) a = "-p***"
      else a = mask(a)
      s = s (s == "" ? "" : ",") esc(substr(a, 1, 300))
    }
    return "[" s "]"
  }
  function frame(s) { print s; fflush() }
  function look(pid,  f, line, a, b, rest, n, v) {
    f = "/proc/" pid "/stat"
    if ((getline line < f) <= 0) { close(f); return 0 }
    close(f)
    a = index(line, "(")
    rest = line
    if (!match(rest, /.*\)/)) return 0
    b = RLENGTH
    comm = substr(line, a + 1, b - a - 1)
    n = split(substr(line, b + 2), v, " ")
    if (n < 22 || int(v[7] / 2097152) % 2) return 0
    st = v[1]; ppid = v[2]; cpu = v[12] + v[13]; threads = v[18]; start = v[20]; rss = v[22] * page
    return 1
  }
  function uid_of(pid,  f, line, v, u) {
    f = "/proc/" pid "/status"
    u = -1
    while ((getline line < f) > 0) if (line ~ /^Uid:/) { split(line, v, /[ \t]+/); u = v[3]; break }
    close(f)
    return u
  }
  function processes(  cmd, pid, list, fresh, nf, i, line, k, upd, gone, new, at, c) {
    cmd = "ls /proc"
    while ((cmd | getline pid) > 0) if (pid ~ /^[0-9]+$/) list[pid] = 1
    close(cmd)
    upd = ""; gone = ""; fresh = ""
    for (pid in list) {
      if (!look(pid)) { delete list[pid]; continue }
      k = start " " comm " " ppid
      if (key[pid] != k) {
        key[pid] = k
        if (fresh == "") nf = 0
        fresh = fresh " " pid
        row[pid] = pid "," ppid "," start "," uid_of(pid) "," esc(comm) "," esc(st) "," cpu "," rss "," threads
        val[pid] = st " " cpu
      } else if (val[pid] != st " " cpu) {
        val[pid] = st " " cpu
        upd = upd (upd == "" ? "" : ",") "[" pid "," esc(st) "," cpu "," rss "," threads "]"
        if (length(upd) > 3000) { frame("{\"k\":\"procs\",\"full\":0,\"new\":[],\"gone\":[],\"upd\":[" upd "]}"); upd = "" }
      }
    }
    for (pid in key) if (!(pid in list)) {
      gone = gone (gone == "" ? "" : ",") pid
      delete key[pid]
      if (length(gone) > 3000) { frame("{\"k\":\"procs\",\"full\":0,\"new\":[],\"upd\":[],\"gone\":[" gone "]}"); gone = "" }
    }
    new = ""
    if (first == "") frame("{\"k\":\"procs\",\"full\":1,\"new\":[],\"upd\":[],\"gone\":[]}")
    first = "done"
    if (fresh != "") {
      cmd = "for p in" fresh "; do printf \"%s \" $p; tr \"\\000\\012\" \"\\001\\002\" </proc/$p/cmdline 2>/dev/null | head -c 4000; echo; done 2>/dev/null"
      while ((cmd | getline line) > 0) {
        at = index(line, " ")
        pid = substr(line, 1, at - 1)
        c = "[" row[pid] "," argv(substr(line, at + 1)) "]"
        if (!(pid in row)) continue
        if (new != "" && length(new) + length(c) > 3500) { frame("{\"k\":\"procs\",\"full\":0,\"upd\":[],\"gone\":[],\"new\":[" new "]}"); new = "" }
        new = new (new == "" ? "" : ",") c
        delete row[pid]
      }
      close(cmd)
    }
    if (new != "") frame("{\"k\":\"procs\",\"full\":0,\"upd\":[],\"gone\":[],\"new\":[" new "]}")
    if (upd gone != "") frame("{\"k\":\"procs\",\"full\":0,\"new\":[],\"upd\":[" upd "],\"gone\":[" gone "]}")
  }
  function listeners(  n, f, line, v, w, a, rows, all, proto, i) {
    n = 0; all = ""
    for (i = 1; i <= 2; i++) {
      f = i == 1 ? "/proc/net/tcp" : "/proc/net/tcp6"
      while ((getline line < f) > 0) {
        split(line, v, " ")
        if (v[4] != "0A") continue
        split(v[2], w, ":")
        a = i == 1 ? ip4(w[1]) : ip6(w[1])
        proto = (i == 1 || a ~ /\./) ? "tcp" : "tcp6"
        rows[++n] = "[\"" proto "\",\"" a "\"," hex(w[2]) "," v[8] "," v[10] ",null,\"none\"]"
        all = all rows[n]
      }
      close(f)
    }
    if (all == told && told != "") return
    told = all
    line = ""
    for (i = 1; i <= n; i++) {
      if (length(line) > 3000) { frame("{\"k\":\"listen\",\"partial\":1,\"more\":1,\"rows\":[" line "]}"); line = "" }
      line = line (line == "" ? "" : ",") rows[i]
    }
    frame("{\"k\":\"listen\",\"partial\":1,\"rows\":[" line "]}")
  }
  function vitals(  f, line, v, load, m, idle, total, cpu, i, d, cmd, k) {
    getline line < "/proc/loadavg"; close("/proc/loadavg")
    split(line, v, " ")
    load = v[1] "," v[2] "," v[3]
    getline line < "/proc/stat"; close("/proc/stat")
    split(line, v, " ")
    total = 0
    for (i = 2; i <= 9; i++) total += v[i]
    idle = v[5] + v[6]
    cpu = total > total0 && total0 ? 1 - (idle - idle0) / (total - total0) : 0
    total0 = total; idle0 = idle
    f = "/proc/meminfo"
    while ((getline line < f) > 0) { split(line, v, /[: ]+/); m[v[1]] = v[2] }
    close(f)
    if (!("MemAvailable" in m)) m["MemAvailable"] = m["MemFree"] + m["Buffers"] + m["Cached"]
    d = ""
    if (turn % 10 == 0) {
      f = "/etc/passwd"
      while ((getline line < f) > 0) {
        split(line, v, ":")
        if (v[3] ~ /^[0-9]+$/ && length(d) < 2500) d = d (d == "" ? "" : ",") "[" v[3] "," esc(v[1]) "]"
      }
      close(f)
      d = ",\"users\":[" d "],\"disks\":[" disks() "]"
    }
    frame("{\"k\":\"vitals\",\"load\":[" load "],\"cpu\":" cpu ",\"mem\":[" m["MemTotal"] + 0 "," m["MemAvailable"] + 0 "," m["SwapTotal"] + 0 "," m["SwapFree"] + 0 "]" d "}")
  }
  function disks(  cmd, line, v, s, seen, p) {
    cmd = "df -kP -x nfs 2>/dev/null || df -kP 2>/dev/null"
    s = ""
    while ((cmd | getline line) > 0) {
      split(line, v, " ")
      p = v[6]
      if ((v[1] !~ /^\// && p != "/") || v[2] + 0 == 0 || v[1] in seen) continue
      seen[v[1]] = 1
      if (length(s) < 1000) s = s (s == "" ? "" : ",") "[" esc(p) "," esc(v[1]) "," v[2] "," v[4] ",0,0]"
    }
    close(cmd)
    return s
  }
  BEGIN {
    for (turn = 0; ; turn++) {
      processes()
      listeners()
      vitals()
      frame("{\"k\":\"beat\",\"cpu_ms\":0,\"rss\":0}")
      if (system("sleep 1") != 0) exit
    }
  }' </dev/null
}

# Follow file $2 as id $1, beginning $3 bytes into it; tail tells of rotations among the lines
tailer() {
  ino=$(stat -c '%d %i' "$2" 2>/dev/null || echo 0 0)
  F=$2
  export F
  tail -c "+$(($3 + 1))" -F "$2" 2>&1 </dev/null | $AWK -v id="$1" -v file="$2" -v off="$3" -v ino="$ino" '
  function esc(s) { gsub(/[^ -~]/, "?", s); gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); return s }
  function send(s, n, mark,  v) {
    split(ino, v, " ")
    print "{\"k\":\"log\",\"id\":" id ",\"path\":\"" esc(substr(file, 1, 500)) "\",\"dev\":" v[1] + 0 ",\"ino\":" v[2] + 0 ",\"off\":" off ",\"len\":" n ",\"data\":\"" s "\",\"mark\":\"" mark "\",\"lost\":0}"
    fflush()
    off += n
  }
  BEGIN { send("", 0, "start") }
  /^tail: .*(replaced|appeared|truncated|become accessible)/ {
    cmd = "stat -c \"%d %i\" -- \"$F\" 2>/dev/null"
    cmd | getline ino
    close(cmd)
    off = 0
    send("", 0, /truncated/ ? "truncated" : "rotated")
    next
  }
  /^tail: .*(inaccessible|cannot open|No such file)/ { send("", 0, /ermission/ ? "denied" : "missing"); next }
  /^tail: / { next }
  {
    line = $0
    while (length(line) > 1200) { send(esc(substr(line, 1, 1200)), 1200, ""); line = substr(line, 1201) }
    send(esc(line) "\\n", length(line) + 1, "")
  }'
}

# Numbers and dates the frames of all writers
sequencer() {
  exec $AWK -v boot="$($AWK -v now="$(date +%s)" '{ printf "%.2f", now - $1 }' /proc/uptime)" '{
    getline up < "/proc/uptime"
    close("/proc/uptime")
    split(up, v, " ")
    printf "{\"n\":%d,\"t\":%.2f,%s\n", n++, boot + v[1], substr($0, 2)
    fflush()
  }'
}

children() {
  for f in /proc/[0-9]*/stat; do
    { read -r pid comm state parent rest <"$f"; } 2>/dev/null || continue
    [ "$parent" = "$1" ] && echo "$pid"
  done
}

# the parent first: it may go on to something else when its child ends
end_tree() {
  set -- "$1" $(children "$1")
  kill "$1" 2>/dev/null
  shift
  for c in "$@"; do end_tree "$c"; done
}

finish() {
  for c in $(children "$me"); do end_tree "$c"; done
  exit 0
}

text() { printf '%s' "$line" | sed -n 's/.*"'"$1"'": *"\([^"]*\)".*/\1/p'; }
number() { printf '%s' "$line" | sed -n 's/.*"'"$1"'": *\(-\{0,1\}[0-9][0-9]*\).*/\1/p'; }

stat_value() {
  stat -c '%s %Y %u %g %d %i %F' "$1" 2>/dev/null | {
    read -r size mtime uid gid dev ino kind || return 1
    case $kind in *file) kind=file ;; directory) kind=dir ;; socket) ;; *) kind=other ;; esac
    r=false
    [ -r "$1" ] && r=true
    printf '{"path":"%s","kind":"%s","size":%s,"mtime":%s.0,"uid":%s,"gid":%s,"mode":0,"device":%s,"inode":%s,"readable":%s}' \
      "$(quote "$1")" "$kind" "$size" "$mtime" "$uid" "$gid" "$dev" "$ino" "$r"
  }
}

no_file() {
  if [ -e "$path" ]; then why=EACCES; else why=ENOENT; fi
  reply "$id" "$why $(quote "$path")"
}

do_follow() {
  n=$(number follow) last=$(number last)
  [ -f "$path" ] || [ ! -e "$path" ] || { no_file; return; }
  # what is not there or not readable yet is told by tail, and followed once it is
  size=0
  if [ -r "$path" ]; then size=$(wc -c <"$path"); else last=; fi
  from=$((size))
  case $line in *'"whole": true'*) from=0 ;; esac
  [ -n "$last" ] && from=$((size - $(tail -n "$last" "$path" | wc -c)))
  resume=$(printf '%s' "$line" | sed -n 's/.*"resume": *\[[0-9]*, *\([0-9]*\), *\([0-9]*\)\].*/\1 \2/p')
  if [ -n "$resume" ]; then
    from=0
    [ "${resume% *}" = "$(stat -c %i "$path" 2>/dev/null)" ] && [ "${resume#* }" -le "$size" ] && from=${resume#* }
  fi
  reply "$id" ""
  tailer "$n" "$path" "$from" &
  eval "tail_$n=$!"
}

do_unfollow() {
  n=$(number follow)
  eval "p=\${tail_$n:-}"
  [ -n "$p" ] || { reply "$id" "ENOENT no follow $n"; return; }
  end_tree "$p"
  eval "tail_$n="
  reply "$id" ""
}

do_read() {
  off=$(number offset) len=$(number length)
  [ -r "$path" ] && [ -f "$path" ] || { no_file; return; }
  size=$(($(wc -c <"$path")))
  [ "$off" -lt 0 ] && off=$((size + off))
  [ "$off" -lt 0 ] && off=0
  [ "$len" -gt 2400 ] && len=2400
  data=$(tail -c "+$((off + 1))" "$path" | head -c "$len" | base64 | tr -d '\n')
  reply "$id" "" "{\"data\":\"$data\",\"offset\":$off,\"size\":$size,\"device\":0,\"inode\":0}"
}

do_glob() {
  case $path in *[\ \$\`\;\(\)\&\|\<\>\"\'\\]*) reply "$id" "EINVAL $(quote "$path")"; return ;; esac
  out=
  for p in $path; do
    v=$(stat_value "$p") || continue
    [ ${#out} -gt 3000 ] && break
    out=$out${out:+,}$v
  done
  reply "$id" "" "[$out]"
}

command_line() {
  verb=$(text c) id=$(number id) path=$(text path)
  id=${id:-0}
  case $line in *\\*) reply "$id" "EINVAL this probe takes plain ASCII only"; return ;; esac
  case $verb in
    ping) ;;
    echo) reply "$id" "" "$(date +%s).0" ;;
    follow | unfollow | read | glob) "do_$verb" ;;
    stat) v=$(stat_value "$path"); if [ -n "$v" ]; then reply "$id" "" "$v"; else no_file; fi ;;
    pace | resync) reply "$id" "" ;;
    write | kill | signal | exec | run | remove | start | stop | restart | lock | unlock)
      reply "$id" "EROFS this probe is read-only" ;;
    *) reply "$id" "ENOSYS not in the probe for hosts without Python: $(quote "$verb")" ;;
  esac
}

main() {
  me=$(exec sh -c 'echo $PPID')
  trap finish TERM HUP INT
  hello
  printf '{"k":"note","what":"python","path":"","errno":2,"text":"no Python here: owners of ports, supervisor state and exits are not seen; install python3"}\n'
  sampler &
  dog=
  while :; do
    (sleep 30 && kill -TERM "$me") >/dev/null 2>&1 &
    old=$dog dog=$!
    [ -n "$old" ] && end_tree "$old"
    IFS= read -r line || finish
    command_line
  done
}

main | sequencer
