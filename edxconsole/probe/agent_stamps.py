# edxconsole probe, continued: the time stamps of log lines, and seeking to a time.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split()
ISO = re.compile(br'(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d+)?\s?(Z|[+-]\d\d:?\d\d)?')
CLF = re.compile(br'(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})')
BSD = re.compile(br'([A-Z][a-z]{2})\s+(\d{1,2}) (\d\d):(\d\d):(\d\d)\b')


def stamp_of(line):
    """Epoch seconds of the first time stamp in a log line (host's zone where it names none), or None."""
    head = line[:2000]
    m = CLF.search(head)
    if m:
        d, mon, y, h, mi, s, zone = m.groups()
        mon = txt(mon).lower()
        parts = [int(y), MONTHS.index(mon) + 1 if mon in MONTHS else 1, int(d), int(h), int(mi), int(s)]
        return epoch(parts, zone)
    m = ISO.search(head)
    if m:
        zone = m.group(7)
        if zone is None and head[:1] == b'{':
            zone = b'Z'
        return epoch([int(x) for x in m.groups()[:6]], zone)
    m = BSD.search(head[:200])
    if m and txt(m.group(1)).lower() in MONTHS:
        now = time.localtime()
        month = MONTHS.index(txt(m.group(1)).lower()) + 1
        year = now.tm_year - (1 if month > now.tm_mon else 0)
        return epoch([year, month] + [int(x) for x in m.groups()[1:]], None)
    return None


def epoch(p, zone):
    try:
        if zone is None:
            return time.mktime((p[0], p[1], p[2], p[3], p[4], p[5], 0, 0, -1))
        import calendar
        t = calendar.timegm((p[0], p[1], p[2], p[3], p[4], p[5], 0, 0, 0))
    except (ValueError, OverflowError):
        return None
    if zone != b'Z':
        z = zone.replace(b':', b'')
        t -= (1 if z[:1] == b'+' else -1) * (int(z[1:3]) * 3600 + int(z[3:5]) * 60)
    return float(t)


def seek_value(path, when):
    """Offset of the first line at or after epoch second `when`: a binary search, about 20 reads."""
    fd = open_regular(path)
    try:
        low, high = 0, os.fstat(fd).st_size
        size = high
        while high - low > 4096:
            mid = (low + high) // 2
            found = first_stamp(fd, mid)
            if found is None or found[1] >= when:
                high = mid
            else:
                low = found[0]
        while low < size:
            found = first_stamp(fd, low, low == 0)
            if found is None:
                return {'offset': size, 'size': size}
            if found[1] >= when:
                return {'offset': found[0], 'size': size}
            low = found[0] + 1
        return {'offset': size, 'size': size}
    finally:
        os.close(fd)


def first_stamp(fd, off, whole=False):
    """(offset, epoch) of the first line with a stamp that begins after off (at off if whole)."""
    data = pread(fd, 65536, off)
    i = 0 if whole else data.find(b'\n') + 1
    if not whole and i == 0:
        return None
    while i < len(data):
        j = data.find(b'\n', i)
        t = stamp_of(data[i:j if j >= 0 else len(data)])
        if t is not None:
            return off + i, t
        if j < 0:
            break
        i = j + 1
    return None
