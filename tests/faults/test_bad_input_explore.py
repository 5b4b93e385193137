import pytest, time
from pathlib import Path
from tests.lab.lab import Lab
from tests.lab.host import HostOptions
from tests.support.terminal import command, terminal
from edxconsole.inventory.model import Inventory

@pytest.mark.timeout(400)
def test_x(module_lab: Lab, tmp_path):
    lab = module_lab
    made = lab.boot({
        "good": HostOptions(), "nosudo": HostOptions(sudo=False), "nopython": HostOptions(without=["/usr/bin/python*", "/usr/local/bin/python*", "/root/.pyenv", "/usr/libexec/platform-python*"]),
        "frozen": HostOptions(), "dropped": HostOptions(), "refused": HostOptions(), "stranger": HostOptions(), "changed": HostOptions(), "wronguser": HostOptions(),
    })
    from tests.lab.host import make_key
    nobody = tmp_path/"kh0"; nobody.touch()
    make_key(tmp_path/"other")
    kind, pub = (tmp_path/"other.pub").read_text().split()[:2]
    (tmp_path/"kh1").write_text(f"{made['changed'].address} {kind} {pub}\n")
    made["frozen"].freeze(); made["dropped"].drop(); made["refused"].refuse_ssh()
    inv = lab.inventory()
    h = dict(inv.hosts)
    h["stranger"] = h["stranger"].model_copy(update={"known_hosts": nobody})
    h["changed"] = h["changed"].model_copy(update={"known_hosts": tmp_path/"kh1"})
    h["wronguser"] = h["wronguser"].model_copy(update={"user": "nobodyknown"})
    h["nosudo"] = h["nosudo"].model_copy(update={"become": "sudo"})
    h["noroute"] = h["good"].model_copy(update={"name": "noroute", "address": "198.51.100.9"})
    h["noname"] = h["good"].model_copy(update={"name": "noname", "address": "no-such-name.invalid"})
    inv = inv.model_copy(update={"hosts": h})
    p = lab.hosts_yaml(inv)
    for args in (["status"], ["check"], ["logs", "-n", "2"], ["restart", "nginx@frozen", "--yes", "--reason", "x"], ["restart", "nginx@nopython", "--yes", "--reason", "x"], ["restart", "nginx@stranger"], ["restart", "nginx@good"]):
        e = command(tmp_path, "--hosts", str(p), *args, limit=100)
        print("=====", args, e.status, f"{e.seconds:.1f}"); print(e.out); print("ERR", e.err)
    log = tmp_path/"state/edxconsole/edxconsole.log"
    print("LOG", log.read_text()[:3000] if log.exists() else None)
    with terminal(tmp_path, "--hosts", str(p), size=(160,50)) as t:
        t.read(18)
        print(t.text[-6000:])
        t.seen = t.seen
        b = time.monotonic(); t.type("q"); print("status", t.ended(20), time.monotonic()-b)
        print("TAIL", t.seen[-400:])
        t.assert_given_back()
    print("LOG", log.read_text()[:3000] if log.exists() else None)
