# edxconsole probe, continued: supervisord's state by its own XML-RPC, never blocking.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

STABLE = frozenset([u'RUNNING', u'STOPPED', u'EXITED', u'FATAL', u'UNKNOWN'])
FIELDS = (u'name', u'group', u'statename', u'pid', u'start', u'stop', u'exitstatus', u'spawnerr', u'stdout_logfile',
          u'stderr_logfile')
MEMBER = re.compile(u'<name>(\\w+)</name>\\s*<value>\\s*(?:<(\\w+)\\s*/>|<(\\w+)>([^<]*)</\\w+>|([^<]*))\\s*</value>')
VOLATILE = re.compile(br'<name>(?:now|description)</name>\s*<value>.*?</value>', re.S)
INET = re.compile(u'(?:[0-9A-Za-z*._:\\[\\]-]{0,253}:)?[0-9]{1,5}$')
REQUEST = u'<?xml version="1.0"?><methodCall><methodName>supervisor.%s</methodName><params></params></methodCall>'


def unescape(s):
    return s.replace(u'&lt;', u'<').replace(u'&gt;', u'>').replace(u'&quot;', u'"').replace(u'&amp;', u'&')


def members(text):
    """{name: text} of one XML-RPC struct."""
    return dict((m.group(1), unescape(m.group(4) or m.group(5) or u'')) for m in MEMBER.finditer(text))


def to_int(s):
    try:
        return int(s)
    except (TypeError, ValueError):
        return 0


def program_rows(text):
    rows = {}
    for part in text.split(u'</struct>'):
        m = members(part)
        if u'statename' not in m:
            continue
        row = [m.get(f, u'')[:512] for f in FIELDS]
        for i in (3, 4, 5, 6):
            row[i] = to_int(row[i])
        rows[(row[1], row[0])] = row
    return rows


def read_config(path):
    """{section: {key: value}} of the sections we need of a supervisord.conf. OSError when unreadable."""
    fd = os.open(path, RO)
    try:
        text = txt(os.read(fd, 1 << 20)).replace(u'\0', u'\ufffd')     # os and socket raise at a NUL
    finally:
        os.close(fd)
    here = os.path.dirname(path)
    res = {}
    section = None
    for line in text.splitlines():
        s = line.strip()
        if not s or s[0] in u';#':
            continue
        if s[0] == u'[':
            section = res.setdefault(s[1:].split(u']')[0].strip(), {})
        elif section is not None and not line[:1].isspace() and re.search(u'[=:]', s):
            k, v = re.split(u'\\s*[=:]\\s*', s, maxsplit=1)
            v = re.split(u'\\s;', v)[0].strip()
            section[k.strip().lower()] = v.replace(u'%(here)s', txt(here))
    return res


class Daemon(object):
    """One supervisord: reads its state over its own socket, never blocks, sends what changed."""

    TIMEOUT = 2.0

    def __init__(self, board, config):
        self.board = board
        self.out = board.out
        self.loop = board.loop
        self.config = config
        self.pid = 0
        self.version = u''
        self.owner = u''
        self.endpoint = u''
        self.places = []       # [(family, address, shown, authorization)]
        self.place = 0
        self.sock = None
        self.queue = []
        self.buf = b''
        self.rows = {}
        self.body = None
        self.told = None
        self.wants_full = True
        self.log = None
        self.log_size = 0
        self.fast_until = 0.0
        self.gap = 0.0
        self.failed = u''
        self.configure()

    def configure(self):
        self.failed = u''
        try:
            conf = read_config(self.config)
        except ERRORS as e:
            code = code_of(e)
            self.failed = u'%s %s' % (name_of(code), txt(self.config))
            conf = {}
        self.places = []
        unix = conf.get(u'unix_http_server', {})
        inet = conf.get(u'inet_http_server', {})
        if unix.get(u'file'):
            path = unix[u'file'].encode('utf-8')
            self.places.append((socket.AF_UNIX, path, u'unix:' + unix[u'file'], authorization(unix)))
        if inet.get(u'port'):
            host, _, port = inet[u'port'].rpartition(u':')
            if INET.match(inet[u'port']) and 0 < int(port) < 65536:
                host = u'127.0.0.1' if host in (u'', u'*', u'0.0.0.0', u'localhost') else host
                self.places.append((socket.AF_INET, (str(host), int(port)), u'tcp:%s:%s' % (host, port),
                                    authorization(inet)))
        if not conf:
            for path in (b'/edx/var/supervisor/supervisor.sock', b'/var/run/supervisor.sock', b'/tmp/supervisor.sock'):
                if os.path.exists(path):
                    self.places.append((socket.AF_UNIX, path, u'unix:' + txt(path), b''))
        self.endpoint = self.places[0][2] if self.places else u''
        self.place = 0
        logfile = conf.get(u'supervisord', {}).get(u'logfile', u'')
        self.log = logfile.encode('utf-8') if logfile[:1] == u'/' else None

    def start_poll(self, now):
        """Ask now, unless an answer is already awaited."""
        self.loop.timers.pop(self, None)
        if self.queue:
            return
        if not self.out.room():
            self.loop.at(self, now + 0.2, self.start_poll)
            return
        if not self.places:
            self.tell(u'', self.failed or u'ENOENT no [unix_http_server] or [inet_http_server] in %s' % txt(self.config))
            self.loop.at(self, now + 30.0, self.reconfigure)
            return
        self.queue = ['getAllProcessInfo'] if self.version else ['getSupervisorVersion', 'getAllProcessInfo']
        self.loop.at(self, now + self.TIMEOUT, self.expire)
        if self.sock is None:
            self.connect()
        else:
            self.ask()

    def reconfigure(self, now):
        self.configure()
        self.start_poll(now)

    def connect(self):
        family, where, shown, auth = self.places[self.place]
        self.sock = s = socket.socket(family, socket.SOCK_STREAM)
        s.setblocking(False)
        if family == socket.AF_UNIX:
            try:
                self.owner = self.board.vitals.user(os.stat(where).st_uid)
            except ERRORS:
                self.owner = u''
        try:
            s.connect(where)
        except ERRORS as e:
            if code_of(e) != errno.EINPROGRESS:
                return self.fail(code_of(e))
        self.loop.add(s.fileno(), select.EPOLLOUT, self.event)

    def event(self, ev):
        if self.sock is None:
            return
        try:
            if ev & select.EPOLLOUT and not self.buf:
                code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    return self.fail(code)
                self.loop.modify(self.sock.fileno(), select.EPOLLIN)
                self.ask()
                return
            d = self.sock.recv(262144)
        except ERRORS as e:
            if code_of(e) not in AGAIN:
                self.fail(code_of(e))
            return
        if not d:
            self.close()
            if self.queue and not self.buf:
                self.retry()
            elif self.queue:
                self.fail(errno.ECONNRESET)
            return
        self.buf += d
        if len(self.buf) > 8 << 20:
            self.fail(errno.EMSGSIZE)
        elif self.queue:
            self.parse()

    def retry(self):
        """A kept connection was closed between two polls: supervisord came back or timed us out."""
        if self.gap < 0:
            return self.fail(errno.ECONNRESET)
        self.gap = -1.0
        self.connect()

    def ask(self):
        auth = self.places[self.place][3]
        body = (REQUEST % self.queue[0]).encode('ascii')
        head = (b'POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nAccept: text/xml\r\n'
                b'Content-Length: ' + str(len(body)).encode('ascii') + b'\r\n' + auth + b'\r\n')
        try:
            self.sock.send(head + body)
        except ERRORS as e:
            self.close()
            if code_of(e) in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                self.retry()
            else:
                self.fail(code_of(e))

    def parse(self):
        head, sep, body = self.buf.partition(b'\r\n\r\n')
        if not sep:
            return
        m = re.search(br'(?i)\r\ncontent-length:\s*(\d+)', head)
        size = int(m.group(1)) if m else 0
        if len(body) < size:
            return
        self.buf = b''
        status = head.split(None, 2)[1:2]
        method = self.queue.pop(0)
        if re.search(br'(?i)\r\nconnection:\s*close', head):
            self.close()
        if status != [b'200']:
            why = u'401 needs a user name and password' if status == [b'401'] else u'HTTP %s' % txt(b''.join(status))
            return self.fail(0, u'%s %s' % (why, self.places[self.place][2]))
        self.endpoint = self.places[self.place][2]
        if b'<fault>' in body:
            fault = members(txt(body))
            code = fault.get(u'faultCode', u'')
            self.queue = []
            if code == u'6':
                self.tell(u'SHUTDOWN', u'')
            else:
                self.tell(u'', u'fault %s %s' % (code, fault.get(u'faultString', u'')[:200]))
        elif method == 'getSupervisorVersion':
            m = re.search(br'<string>([^<]*)</string>', body)
            self.version = txt(m.group(1))[:32] if m else u'?'
        else:
            self.answer(body)
        if self.queue:
            if self.sock is None:
                self.connect()
            else:
                self.ask()
        else:
            self.again()

    def answer(self, body):
        body = VOLATILE.sub(b'', body)
        if body == self.body:
            self.tell(u'RUNNING', u'')
            return
        self.body = body
        rows = program_rows(txt(body))
        old, self.rows = self.rows, rows
        if set(old) != set(rows):
            self.wants_full = True
        self.tell(u'RUNNING', u'', [k for k in rows if rows[k] != old.get(k)])
        self.board.programs_changed(self)

    def tell(self, statename, error, changed=()):
        state = (self.pid, self.endpoint, self.owner, self.version, statename, error)
        if state == self.told and not changed and not self.wants_full:
            return
        full = self.wants_full or self.told is None
        self.told = state
        self.wants_full = False
        keys = sorted(self.rows if full else changed)
        self.out.frame('sup', {'config': txt(self.config), 'pid': self.pid, 'endpoint': self.endpoint,
                               'owner': self.owner, 'version': self.version, 'state': statename,
                               'full': 1 if full else 0, 'error': error,
                               'rows': [self.rows[k] for k in keys]}, 'rows')

    def settled(self):
        gone = self.board.recent
        for row in self.rows.values():
            if row[2] not in STABLE or (row[2] == u'RUNNING' and row[3] in gone):
                return False
        return self.told is not None and self.told[4] == u'RUNNING'

    def again(self):
        now = mono()
        if now < self.fast_until and not self.settled():
            self.gap = min(max(self.gap, 0.004) * 2, 0.25)
            due = now + self.gap
        else:
            self.gap = 0.0
            due = now + self.board.pace
        self.loop.at(self, due, self.start_poll)

    def kick(self, now):
        """Something happened to it: ask in a moment, then ever slower until it has settled."""
        self.gap = 0.0
        self.fast_until = now + 12.0
        if not self.queue:
            self.loop.sooner(self, now + 0.003, self.start_poll)

    def fail(self, code, text=None):
        """This place can't be used: try the next, else say why and come back later."""
        self.close()
        shown = self.places[self.place][2]
        text = text or u'%s %s' % (name_of(code), shown.partition(u':')[2])
        if self.place + 1 < len(self.places) and code in (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ECONNREFUSED, 0):
            self.failed = self.failed or text
            self.place += 1
            if self.queue:
                return self.connect()
        failed, self.failed = self.failed or text, u''
        self.place = 0
        self.queue = []
        self.version = u''
        self.body = None
        if not self.pid:
            failed = u'not running (%s)' % failed
            self.rows = {}
            self.wants_full = self.told is None or self.told[5] != failed
        self.endpoint = self.places[0][2]
        self.tell(u'', failed)
        now = mono()
        self.loop.at(self, now + (0.3 if now < self.fast_until else 3.0), self.reconfigure)

    def expire(self, now):
        self.close()
        self.queue = []
        self.body = None
        self.tell(u'', u'ETIMEDOUT no answer in %d s from %s' % (self.TIMEOUT, self.places[self.place][2]))
        self.loop.at(self, now + 3.0, self.start_poll)

    def close(self):
        if self.sock is not None:
            self.loop.remove(self.sock.fileno())
            self.sock.close()
            self.sock = None
        self.buf = b''

    def forget(self):
        self.loop.timers.pop(self, None)
        self.close()

    def log_grew(self):
        if self.log is None:
            return False
        try:
            size = os.stat(self.log).st_size
        except ERRORS:
            return False
        grew = size != self.log_size
        self.log_size = size
        return grew


def authorization(section):
    user, password = section.get(u'username'), section.get(u'password')
    if not user or password is None:
        return b''
    raw = (u'%s:%s' % (user, password)).encode('utf-8')
    return b'Authorization: Basic ' + base64.b64encode(raw) + b'\r\n'
