"""Ansible's inventories: who is in them, which of several values counts, and every fault at once with its line.

What counts was asked of `ansible-inventory --list` (ansible-core 2.19) on these very files.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import BadFile, SlimdeployError
from deploy.fleet.inventory import read
from deploy.model.fleet import Inventory, Member


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def of(folder: Path, source: str, **files: str) -> Inventory:
    write(folder, {name.replace("__", "/"): text for name, text in files.items()})
    return read(folder / source)


def told(member: Member, *settings: str) -> dict[str, object]:
    found = {"user": member.host.user, "port": member.host.port, "site": member.site} | dict(member.settings)
    return {key: found.get(key) for key in settings}


INI = """\
# who stands alone
lone ansible_host=10.9.0.1
beta:2345 ansible_user=admin      # a comment
gamma ansible_port=77 ansible_user="root_user"
[web] # the web
edge-[01:03] ansible_user=u_edge
edge-02:2222
db-[a:c]x[1:2]

[all:vars]
ansible_user=from_all
ansible_port=1000
slimdeploy_prefix=/opt/all
[web:vars]
ansible_user=from_web
slimdeploy_prefix=/opt/web
slimdeploy_memory_limit="5MiB" # of a text in quotes it is a comment
ansible_ssh_private_key_file = /keys/web
[zzz:children]
web
[zzz:vars]
slimdeploy_site=zzz
ansible_private_key_file=/never
[aaa:children]
web
[aaa:vars]
slimdeploy_site=aaa
[prio:children]
zzz
[prio:vars]
slimdeploy_gc_percent=11
ansible_group_priority=99
[same]
edge-01
[same:vars]
slimdeploy_site=same
slimdeploy_gc_percent=22
slimdeploy_max_procs=3
[web:vars]
slimdeploy_max_procs=2
ansible_group_priority=10
"""

BESIDE = {
    "group_vars/all.yml": "ansible_port: 2000\nslimdeploy_service: systemd\nnothing_of_ours: [1, {2: 3}]\n",
    "group_vars/web/a.yml": "slimdeploy_prefix: /opt/beside\n",
    "group_vars/web/.b.yml": "slimdeploy_prefix: /opt/hidden\n",
    "group_vars/web/c.yml~": "slimdeploy_prefix: /opt/backup\n",
    "group_vars/web/z.txt": "slimdeploy_prefix: /opt/txt\n",
    "group_vars/web.yml": "slimdeploy_prefix: /opt/a-folder-goes-before\n",
    "group_vars/ungrouped": "slimdeploy_ca: full\n",
    "group_vars/same.yaml": "ansible_group_priority: 500\n",
    "host_vars/edge-03.yml": "slimdeploy_site: its own\n",
    "host_vars/lone.json": '{"ansible_port": 3333}',
}


def test_an_ini_file_and_the_folders_beside_it_say_what_ansible_reads_in_them(tmp_path: Path) -> None:
    write(tmp_path, {"hosts": INI, **BESIDE})
    found = read(tmp_path / "hosts")
    members = {member.name: member for member in found.members}
    assert list(members)[:6] == ["lone", "beta", "gamma", "edge-01", "edge-02", "edge-03"] and len(members) == 12
    assert str(members["lone"].host) == "from_all@10.9.0.1:3333", "host_vars go before the groups'"
    assert str(members["beta"].host) == "admin@beta:2345" and str(members["gamma"].host) == "root_user@gamma:77"
    assert members["lone"].settings["ca"] == "full" and "ca" not in members["edge-01"].settings
    one, two, three = (members[f"edge-0{number}"] for number in (1, 2, 3))
    assert one.groups == {"web", "aaa", "zzz", "prio", "same"} and members["beta"].groups == frozenset()
    # The inventory's own [web:vars] come before group_vars/all, which is of everybody.
    assert told(one, "user", "port", "prefix", "service") == {
        "user": "u_edge",
        "port": 2000,
        "prefix": "/opt/beside",
        "service": "systemd",
    }
    # web lies three deep; same and aaa one; of equals the priority counts, then the name.
    assert told(one, "site", "gc_percent", "max_procs", "memory_limit", "identity") == {
        "site": "zzz",
        "gc_percent": "11",
        "max_procs": "2",
        "memory_limit": "5MiB",
        "identity": "/keys/web",
    }
    assert three.site == "its own" and two.host.port == 2000
    assert [note.partition("the port")[2] for note in found.notes] == [
        f" 2222 has no effect, as Ansible has it: edge-02 stands at {tmp_path}/hosts:6 already"
    ]
    assert [name for name in members if name.startswith("db")] == [f"db-{a}x{b}" for a in "abc" for b in "12"]


YAML = """\
all:
  vars: &common
    ansible_user: from_all
    slimdeploy_site: x
  hosts:
    a.example.com:
    "b:2222":
      ansible_host: "{{ inventory_hostname }}.lan"
      ansible_ssh_private_key_file: "{{ inventory_dir }}/key"
    10.0.0.7:
      ansible_port: 017
  children:
    web:
      hosts:
        w[1:3]:
          ansible_user: yes
        w2: {ansible_port: 022}
      vars:
        <<: *common
        slimdeploy_site: y
        ansible_become_password: !vault |
          $ANSIBLE_VAULT;1.1;AES256
          6162
      children:
        inner:
          hosts: w3
    empty:
inner:
  vars: {slimdeploy_gc_percent: 5, ansible_group_priority: 3}
other:
  hosts: {w3: null}
  vars: {slimdeploy_gc_percent: 6, slimdeploy_site: other}
"""


def test_a_yaml_file_has_merges_octal_numbers_and_groups_in_groups(tmp_path: Path) -> None:
    found = of(tmp_path, "hosts.yml", **{"hosts.yml": YAML})
    hosts = {member.name: str(member.host) for member in found.members}
    assert hosts == {
        "a.example.com": "from_all@a.example.com",
        "b": "from_all@b.lan:2222",
        "10.0.0.7": "from_all@10.0.0.7:15",
        "w1": "True@w1",
        "w2": "True@w2:18",
        "w3": "True@w3",
    }
    members = {member.name: member for member in found.members}
    assert told(members["w3"], "site", "gc_percent") == {"site": "y", "gc_percent": "5"}
    assert members["w3"].groups == {"web", "inner", "other"}
    assert members["b"].settings["identity"] == f"{tmp_path}/key"


def test_pyyaml_without_its_c_part_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"hosts.yml": YAML})
    expected = read(tmp_path / "hosts.yml")
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert read(tmp_path / "hosts.yml") == expected


def test_of_two_names_for_one_thing_the_older_counts(tmp_path: Path) -> None:
    text = (
        "[all:vars]\nansible_ssh_user=old\nansible_user=new\n[g]\na ansible_host=10.0.0.1 ansible_ssh_host=10.0.0.2\n"
    )
    assert [str(member.host) for member in of(tmp_path, "hosts", hosts=text).members] == ["old@10.0.0.2"]


def test_a_folder_of_inventories_is_one(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        "fleet",
        **{
            "fleet__01-hosts": "[web]\na\nb ansible_user=first\n",
            "fleet__02.yml": "web:\n  hosts:\n    b: {ansible_user: second}\n    c: {}\n",
            "fleet__sub__more": "[deep]\nd\n[deep:vars]\nansible_port=5\n",
            "fleet__sub__group_vars__deep.yml": "ansible_user: not_of_the_folder_itself\n",
            "fleet__group_vars__deep.yml": "ansible_user: beside\n",
            "fleet__README.md": "nothing {{{\n",
            "fleet__old.cfg": "[x]\npassed-over\n",
            "fleet__new.ini": "[x]\ne\n",
        },
    )
    hosts = {member.name: str(member.host) for member in found.members}
    assert hosts == {"a": "a", "b": "second@b", "c": "c", "e": "e", "d": "beside@d:5"}


def test_who_is_not_reached_by_ssh_is_left_out_and_what_is_not_used_is_told_once(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        "hosts",
        hosts="localhost ansible_connection=local\n[edge]\ne[1:2]\n[edge:vars]\nansible_password=hunter2\n"
        'ansible_ssh_common_args="-o ProxyJump=gate"\n',
        group_vars__edge__vault="$ANSIBLE_VAULT;1.1;AES256\n61626364\n",
    )
    assert [member.name for member in found.members] == ["e1", "e2"]
    said = "\n".join(found.notes)
    assert len(found.notes) == 4 and "hunter2" not in said
    for part in ("is local and not ssh: localhost", "ansible_password is not used", "~/.ssh/config", "vault and was"):
        assert part in said


def test_every_fault_is_told_at_once_with_its_file_and_line(tmp_path: Path) -> None:
    secret = "123456789:" + "A" * 35
    with pytest.raises(BadFile) as bad:
        of(
            tmp_path,
            "hosts",
            hosts="[web]\na ansible_port=many\nb[3:1]\nc pass word\n[web:chilren]\nx\n[wbe:vars]\nq=1\n[top:children]\n"
            "wep\nloop\n[loop:children]\ntop\n[web:vars]\nansible_user=\"{{ lookup('env', 'USER') }}\"\n"
            f"slimdeploy_tokn_file=x\nslimdeploy_token={secret}\nslimdeploy_board=lichervv\n",
            group_vars__web__1="ansible_user: [\n",
            group_vars__web__2="- a list\n",
            host_vars__a="ansible_host: !vault abc\nslimdeploy_site: |\n  two\n  lines\n",
        )
    faults = "\n".join(bad.value.faults)
    for line, words in (
        (2, "ansible_port has to be a whole number from 1 to 65535, not 'many'"),
        (3, "the range [3:1] ends before it begins"),
        (4, "only variables follow"),
        (5, "a section [web:chilren] has no meaning; did you mean children?"),
        (7, "there is no group 'wbe' for [wbe:vars]; did you mean web?"),
        (10, "there is no group 'wep'"),
        (13, "the group top is in itself: top > loop > top"),
        (15, "ansible_user is a template"),
        (16, "there is no key 'slimdeploy_tokn_file'; did you mean token_file?"),
        (17, "slimdeploy_token would be a secret itself"),
        (18, "there is no board 'lichervv' (did you mean licheerv?)"),
    ):
        assert f"{tmp_path}/hosts:{line}: " in faults and words in faults, (line, words, faults)
    for file, words in (
        ("group_vars/web/1:2", "it is not YAML"),
        ("group_vars/web/2", "has to be a mapping"),
        ("host_vars/a:1", "ansible_host is encrypted by ansible-vault"),
        ("host_vars/a:2", "slimdeploy_site has a line break"),
    ):
        assert any(fault.startswith(f"{tmp_path}/{file}: ") and words in fault for fault in bad.value.faults), faults
    assert secret not in faults and len(bad.value.faults) == 15, faults


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plugin: amazon.aws.aws_ec2\nregions: [eu]\n", "fleet.yml:1: it has no hosts in it: it configures"),
        ("web:\n  host:\n    a:\n", "fleet.yml:2: 'host' means nothing in the group web; did you mean hosts?"),
        ("web:\n  hosts: [a, b]\n", "fleet.yml:2: hosts of the group web has to be a mapping"),
        ("web:\n  hosts:\n    a: text\n", "fleet.yml:3: the host 'a' has to be a mapping"),
        ("a: &a\n  children:\n    b: *a\n", "in itself"),
        ("web:\n  hosts:\n\ta:\n", "fleet.yml:3: it is not YAML"),
        ("a: " + "[" * 500 + "]" * 500, "lie too deep"),
        ("web:\n  hosts: {a: {ansible_host: [1]}}\n", "fleet.yml:2: ansible_host has to be text"),
    ],
)
def test_what_is_wrong_in_a_yaml_file_is_told_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadFile) as bad:
        of(tmp_path, "fleet.yml", **{"fleet.yml": text})
    assert words in "\n".join(bad.value.faults), bad.value.faults


def test_aliases_that_multiply_themselves_end(tmp_path: Path) -> None:
    lines = ["g0: &g0 {hosts: {a: null}}"]
    lines += [f"g{n}: &g{n} {{children: {{x{n}: *g{n - 1}, y{n}: *g{n - 1}}}}}" for n in range(1, 40)]
    found = of(tmp_path, "fleet.yml", **{"fleet.yml": "\n".join(lines)})
    assert len(found.members) == 1 and len(found.members[0].groups) == 1 + 39 * 3
    merged = ["a0: &a0 {hosts: {a: null}}"] + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60)]
    assert len(of(tmp_path, "fleet.yml", **{"fleet.yml": "\n".join(merged)}).members) == 1


def test_a_command_is_taken_only_from_files_that_nobody_else_could_have_written(tmp_path: Path) -> None:
    files = {"hosts": "[web]\na\n", "group_vars/web": "slimdeploy_token_command: pass show {{ inventory_hostname }}\n"}
    write(tmp_path, files)
    (tmp_path / "group_vars" / "web").chmod(0o644)
    assert read(tmp_path / "hosts").members[0].settings["token_command"] == "pass show a"
    (tmp_path / "group_vars" / "web").chmod(0o666)
    with pytest.raises(BadFile, match=r"group_vars/web: it names a command, and everybody can write it"):
        read(tmp_path / "hosts")


WORDS = "[web] [a:vars] [b:children] a x=1 : { } &a *a [1:3] hosts: ansible_host= ' \" {{ !vault | # \x00 é"
PIECES = st.lists(
    st.sampled_from([*WORDS.split(" "), "\n", " ", "- ", "<<: *a", "\n  ", "all:\n", "\t"]) | st.text(max_size=5),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(PIECES)
def test_no_text_makes_a_traceback(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("fleet.yml", "fleet.ini"):
        with suppress(SlimdeployError, UnicodeEncodeError):
            of(folder, name, **{name: "".join(pieces)})
