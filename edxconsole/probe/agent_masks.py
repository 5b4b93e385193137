# edxconsole probe, continued: secrets in argv, masked here so that they never leave the host.
# Sent by launcher.py as one program with agent_base.py: the names not defined here are there.
# ruff: noqa
# mypy: ignore-errors
# fmt: off

MASK = u'***'
SECRET = (r'(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_]?key|private|fernet|signing|license|'
          r'credential|cookie|requirepass|(?:basic|http|master|django)[-_]?auth|auth[-_]?key|access[-_]?key|'
          r'_seed|(?:^|[-_.])key)')
SUSPECT = re.compile(r'://|pass|pwd|secret|token|key|private|fernet|signing|license|credential|cookie|auth|_seed|'
                     r'(?:^|[\s/\0])(?:mysql|maria|mongo|redis-cli|rabbitmqctl|curl|ldap|supervisorctl|sshpass)|'
                     r'\0-[puwa]', re.I)
URL = re.compile(r'://[^\s/@\'"]*(?::[^\s\'"]*)?@')
ASSIGN = re.compile(r'([\w.-]*' + SECRET + r'[\w.-]*)(\s*=\s*)("[^"]*"|\'[^\']*\'|[^\s"\',;&]+)', re.I)
HARMLESS = re.compile(r'(?:(?<!pro)file|path|prefix|function|routing[-_]key|keyserver|pass[-_]?through)', re.I)
QUOTED = re.compile(r'(["\'][^"\']*' + SECRET + r'[^"\']*["\']\s*:\s*)(["\'])(?:(?!\2).)*\2', re.I)
HEADER = re.compile(r'((?:authorization|x-[\w-]*(?:key|token))\s*:\s*(?:(?:bearer|basic|token|digest)\s+)?)[^\s"\']+', re.I)
OPTION = re.compile(r'^--?[\w.-]*' + SECRET + r'[\w.-]*$', re.I)
INLINE = re.compile(r'(\b(?:mysql|maria|mongo)\S*\s(?:.*?\s)?-p)([^\s-]\S*)')
SPACED = re.compile(r'(\s--?[\w.-]*(?:password|passwd|passphrase|secret|token|api-key)\s+)(?!-)("[^"]*"|\'[^\']*\'|\S+)', re.I)
SHORT = re.compile(r'(\b(?:mongo|sshpass|supervisorctl|curl|ldap|redis-cli)\S*\s(?:.*?\s)?-[pwa]\s+)(\S+)')
P_TOOLS = ('mysql', 'maria', 'mongo', 'sshpass', 'supervisorctl')


def mask_assignment(m):
    return m.group(0) if HARMLESS.search(m.group(1)) else m.group(1) + m.group(2) + MASK


def is_secret_option(a):
    return OPTION.match(a) and not HARMLESS.search(a)


def mask_text(a):
    a = URL.sub(u'://' + MASK + u'@', a)
    a = HEADER.sub(u'\\g<1>' + MASK, a)
    a = QUOTED.sub(u'\\g<1>\\g<2>' + MASK + u'\\g<2>', a)
    a = ASSIGN.sub(mask_assignment, a)
    if u' ' in a:
        a = INLINE.sub(u'\\g<1>' + MASK, a)
        a = SPACED.sub(u'\\g<1>' + MASK, a)
        a = SHORT.sub(u'\\g<1>' + MASK, a)
    return a


def mask_argv(args):
    """A copy of the argument list (text) without passwords, tokens and URL userinfo."""
    if not args or not SUSPECT.search(u'\0' + u'\0'.join(args)):
        return args
    tool = args[0].rsplit(u'/', 1)[-1]
    named = u'-u' in args or u'--username' in args
    out = []
    hide = 0
    for i, a in enumerate(args):
        if hide:
            hide -= 1
            if hide == 0 and not is_secret_option(a):
                out.append(MASK)
                continue
        if i and is_secret_option(a):
            hide = 1
        elif a == u'-p' and (tool.startswith(P_TOOLS) or named and not u''.join(args[i + 1:i + 2]).isdigit()):
            hide = 1
        elif a in (u'-w', u'-a') and tool.startswith((u'ldap', u'redis-cli')):
            hide = 1
        elif a in (u'add_user', u'change_password', u'authenticate_user'):
            hide = 2
        elif a.startswith(u'-p') and len(a) > 2 and tool.startswith((u'mysql', u'maria', u'mongo', u'sshpass')):
            a = u'-p' + MASK
        elif i and args[i - 1] in (u'-u', u'--user', u'-U') and u':' in a:
            a = a.split(u':', 1)[0] + u':' + MASK
        elif a.startswith((u'-u', u'--user=')) and u':' in a and tool == u'curl':
            a = a.split(u':', 1)[0] + u':' + MASK
        out.append(mask_text(a))
    return out


def bound_argv(args):
    """At most about 4 KiB: long arguments cut, the middle of very long lists left out."""
    args = [a if len(a) <= 600 else a[:600] + u'...' for a in args]
    total = sum(len(a) for a in args)
    if total <= 4096 and len(args) <= 256:
        return args
    head, size = [], 0
    for a in args[:120]:
        size += len(a)
        if size > 2600:
            break
        head.append(a)
    tail, size = [], 0
    for a in reversed(args[max(len(head), len(args) - 100):]):
        size += len(a)
        if size > 1200:
            break
        tail.append(a)
    return head + [u'...'] + tail[::-1]
