"""Files in the style of public keepalived.conf, read by keepalived and by Isobar: verdicts, and what they mean.

The texts are our own. Their style is that of cookeem/kubeadm-ha, sadeghsobhi/Keepalived, fanux/kubeinit, xusxlinux/Document,
ajebli-naima/setup-kubernetes-with-ansible, mrp-yt/Galaxy-Home-Lab, openSUSE/heroes-salt, openstack-archive/tripleo-image-elements,
the samples in Debian's keepalived package, and the articles on internet-lab.ru and blog.csdn.net. Each file is also broken in
many ways, by seed.
"""
import itertools
import random


def block(name: str, *lines: str) -> str:
    return f"{name} {{\n" + "".join(f"    {line}\n" for text in lines for line in text.split("\n")) + "}\n"


def inner(name: str, *lines: str) -> str:
    return block(name, *lines).rstrip("\n")


def vrrp(name: str, *lines: str, interface: str = "eth0", vrid: int = 51, vips: tuple = ("10.9.0.200",)) -> str:
    addresses = [inner("virtual_ipaddress", *vips)] if vips else []
    return block(f"vrrp_instance {name}", f"interface {interface}", f"virtual_router_id {vrid}", *lines, *addresses)


def script(name: str, command: str, *lines: str) -> str:
    return block(f"vrrp_script {name}", f'script "{command}"', *lines)


PASS = inner("authentication", "auth_type PASS", "auth_pass 1111")
LONG = inner("authentication", "auth_type PASS", "auth_pass a-much-longer-secret")
SECURE = block("global_defs", "router_id LB1", "enable_script_security", "script_user root")
MAIL = block("global_defs", inner("notification_email", "ops@example.com", "me@example.com"), "notification_email_from lb@example.com",
             "smtp_server 127.0.0.1", "smtp_connect_timeout 30", "router_id LVS_DEVEL")
SAMPLE = block("global_defs", "router_id LVS_DEVEL", "vrrp_skip_check_adv_addr", "vrrp_strict", "vrrp_garp_interval 0", "vrrp_gna_interval 0")
TRUE, FALSE = "/bin/true", "/bin/false"
REAL = block("virtual_server 10.9.0.200 443", "delay_loop 6", "lb_algo rr", "lb_kind NAT", "persistence_timeout 50", "protocol TCP",
             inner("real_server 10.9.0.31 443", "weight 1", inner("TCP_CHECK", "connect_timeout 3")))

FILES = {
    "least": vrrp("VI_1"),
    "article": MAIL + vrrp("VI_1", "state MASTER", "priority 100", "advert_int 1", PASS),
    "backup": MAIL + vrrp("VI_1", "state BACKUP", "priority 90", "advert_int 1", PASS),
    "sample": SAMPLE + vrrp("VI_1", "state MASTER", "priority 100", "advert_int 1", PASS) + REAL,
    "kubernetes": SECURE + script("check_apiserver", TRUE, "interval 3", "weight -2", "fall 10", "rise 2")
    + vrrp("VI_1", "state MASTER", "priority 101", LONG, inner("track_script", "check_apiserver")),
    "insecure": script("chk_haproxy", TRUE, "interval 2", "weight 2")
    + vrrp("VI_1", "state MASTER", "priority 101", inner("track_script", "chk_haproxy")),
    "cloud": SECURE + vrrp("VI_1", "state BACKUP", "priority 100", "nopreempt", "unicast_src_ip 10.9.0.11",
                           inner("unicast_peer", "10.9.0.12", "10.9.0.13"), "notify_master /bin/true", vips=()),
    "peers": vrrp("VI_1", "priority 100", "unicast_src_ip 10.9.0.11/24", inner("unicast_peer", "10.9.0.12/24")),
    "peers with junk": vrrp("VI_1", "priority 100", "unicast_src_ip 10.9.0.11", inner("unicast_peer", "10.9.0.12", "peer-two", "10.9.0.14")),
    "preempt delay": vrrp("VI_1", "state BACKUP", "priority 150", "preempt_delay 300"),
    "master nopreempt": vrrp("VI_1", "state MASTER", "priority 150", "nopreempt"),
    "slave": vrrp("VI_1", "state SLAVE", "priority 50"),
    "two instances": vrrp("VI_1", "state MASTER", "priority 150", PASS)
    + vrrp("VI_2", "state BACKUP", "priority 100", PASS, vrid=52, vips=("10.9.0.201/24 dev eth0 label eth0:1",)),
    "the same name": vrrp("VI_1", "priority 150") + vrrp("VI_1", "priority 100", vrid=52, vips=("10.9.0.201",)),
    "the same id": vrrp("VI_1", "priority 150") + vrrp("VI_2", "priority 100", vips=("10.9.0.201",)),
    "group": block("vrrp_sync_group VG1", inner("group", "VI_1", "VI_2")) + vrrp("VI_1", "priority 100")
    + vrrp("VI_2", "priority 100", interface="eth1", vips=("10.8.0.200/24",)),
    "group with notify": SECURE + block("vrrp_sync_group VG1", inner("group", "IN", "OUT"), 'notify_master "/bin/true a b"', "smtp_alert")
    + vrrp("IN", "priority 100") + vrrp("OUT", "priority 100", interface="eth1", vrid=53, vips=("10.8.0.200",)),
    "group of one": block("vrrp_sync_group VG1", inner("group", "VI_1")) + vrrp("VI_1", "priority 100"),
    "six": vrrp("VI_6", "priority 100", "advert_int 2", vips=("2001:db8::200/64", "fe80::200/64")),
    "six excluded": vrrp("VI_1", "priority 100", inner("virtual_ipaddress_excluded", "2001:db8::200/64", "10.9.0.202")),
    "version 3": block("global_defs", "vrrp_version 3") + vrrp("VI_1", "priority 200", "advert_int 0.2"),
    "version 3 fraction": vrrp("VI_1", "version 3", "priority 200", "advert_int 0.333"),
    "version 3 password": vrrp("VI_1", "version 3", "priority 200", PASS),
    "interfaces": vrrp("VI_1", "priority 100", inner("track_interface", "eth0", "eth1 weight -30", "lo weight 5")),
    "gone interface": vrrp("VI_1", "priority 100", inner("track_interface", "eth7")),
    "own interface gone": vrrp("VI_1", "priority 100", interface="ens192"),
    "process": block("vrrp_track_process haproxy", "process haproxy", "weight 10", "quorum 2", "delay 1")
    + vrrp("VI_1", "priority 100", inner("track_process", "haproxy")),
    "file": block("vrrp_track_file level", "file /tmp/keepalived-level", "weight 1") + vrrp("VI_1", "priority 100", inner("track_file", "level weight 2")),
    "several scripts": SECURE + script("one", TRUE, "interval 1", "timeout 2", "rise 3", "fall 4", "weight 20")
    + script("two", FALSE, "interval 5", "weight -20", "init_fail") + script("three", TRUE, "interval 2", "user nobody")
    + vrrp("VI_1", "priority 120", inner("track_script", "one", "two weight -5", "three")),
    "undefined script": vrrp("VI_1", "priority 100", inner("track_script", "chk_gone")),
    "misspelt": "vvrp_script chk {\n  script \"/bin/true\"\n  interval 2\n}\n" + vrrp("VI_1", "priority 100", inner("track_script", "chk")),
    "prompt": "root@lb1:/etc/keepalived# cat keepalived.conf\n" + vrrp("VI_1", "priority 100"),
    "variables": "$VIP=10.9.0.220\n$PRIO=77\n" + vrrp("VI_1", "priority $PRIO", vips=("$VIP",)),
    "notify": SECURE + vrrp("VI_1", "priority 100", "notify_master /bin/true", "notify_backup \"/bin/true b\"", "notify_fault /bin/true",
                            "notify_stop /bin/true", "notify /bin/true"),
    "garp": vrrp("VI_1", "priority 100", "garp_master_delay 1", "garp_master_repeat 2", "garp_master_refresh 60",
                 "garp_master_refresh_repeat 2", "garp_lower_prio_delay 3", "garp_lower_prio_repeat 1"),
    "garp of all": block("global_defs", "vrrp_garp_master_delay 10", "vrrp_garp_master_refresh 60", "garp_master_delay 3") + vrrp("VI_1", "priority 100"),
    "vmac": vrrp("VI_1", "priority 100", "use_vmac", "vmac_xmit_base"),
    "routes": vrrp("VI_1", "priority 100", inner("virtual_routes", "src 10.9.0.200 to 10.7.0.0/24 via 10.9.0.1 dev eth0")),
    "comments": "! head\n# more\n" + vrrp("VI_1 # inside", "priority 100 ! tail", "   # alone"),
    "brackets": vrrp("VI_1", "priority 100").replace(" {\n", "\n{\n"),
    "tabs": vrrp("VI_1", "state MASTER", "priority 100").replace("    ", "\t\t"),
    "windows": vrrp("VI_1", "priority 100").replace("\n", "\r\n"),
    "cut short": vrrp("VI_1", "priority 100")[:-3],
    "one line": vrrp("VI_1", "priority 100").replace("\n", " ") + "\n",
    "owner": vrrp("VI_1", "state MASTER", "priority 255"),
    "no priority": vrrp("VI_1", "state MASTER"),
    "no id": vrrp("VI_1", "priority 100").replace("    virtual_router_id 51\n", ""),
    "many": "".join(vrrp(f"VI_{n}", "priority 100", vrid=n, vips=(f"10.9.1.{n}/24", f"10.9.2.{n}/24")) for n in range(1, 41)),
    "twenty-five": vrrp("VI_1", "priority 100", vips=tuple(f"10.9.3.{n}" for n in range(1, 26))),
}


def broken(seed: int) -> tuple[str, str]:
    """A file with a few lines gone, doubled, cut, changed or elsewhere."""
    dice = random.Random(seed)
    name = dice.choice(sorted(FILES))
    lines = FILES[name].split("\n")
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(lines))
        words = lines[at].split(" ")
        match dice.randrange(9):
            case 0: del lines[at]
            case 1: lines.insert(at, lines[at])
            case 2: lines[at] = lines[at][: dice.randint(0, len(lines[at]))]
            case 3: lines[at] = " ".join(words[:-1])
            case 4: lines[at] = lines[at] + dice.choice([" foo", " 7", " {", " }", ' "', " -1", " !x", " #x"])
            case 5: lines[at], lines[-1 - at] = lines[-1 - at], lines[at]
            case 6: lines[at] = " ".join(dice.choice(["0", "256", "-1", "1.5", "abc", "", word]) if word.isdigit() else word for word in words)
            case 7: lines.insert(at, dice.choice(["}", "{", "foo bar", "foo {", "nopreempt", "state MASTER", "priority 300", "include /gone"]))
            case _: lines[at] = lines[at].replace("_", dice.choice(["", "-", "__"]), 1)
        lines = lines or [""]
    return f"{name}, broken {seed}", "\n".join(lines)


def all_files(count: int) -> list[tuple[str, str]]:
    return [*FILES.items(), *itertools.islice(map(broken, itertools.count(1)), count)]
