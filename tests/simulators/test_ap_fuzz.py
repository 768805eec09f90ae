"""No request breaks the simulated access point, whatever its bytes."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.simulators._ap_request import read_request

PATHS = [
    "get_db",
    "imgupload",
    "jsonupload",
    "tag_cmd",
    "led_flash",
    "save_cfg",
    "getdata",
    "get_ap_config",
    "save_apcfg",
    "sysinfo",
    "set_time",
    "set_var",
    "set_vars",
    "edit",
    "check_file",
    "littlefs_put",
    "backup_db",
    "restore_db",
    "get_wifi_config",
    "get_ssid_list",
    "update_ota",
    "reboot",
]
MAC = "00000A1B2C3D4E5F"
names = st.sampled_from(
    [
        "mac",
        "dither",
        "ttl",
        "contentmode",
        "rotate",
        "lut",
        "invert",
        "alias",
        "pos",
        "md5",
        "pattern",
        "cmd",
        "epoch",
        "json",
        "path",
    ]
)
values = (
    st.sampled_from([MAC, "0", "-1", "99999999999999999999", "clear", "del", "[", "[1]", '{"a":1}', "/"]) | st.text()
)
pairs = st.dictionaries(names, values, max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from(["GET", "POST", "DELETE"]), st.sampled_from(PATHS), pairs, pairs, st.binary(max_size=60)
        ),
        max_size=6,
    )
)
def test_no_request_breaks_it(shop, requests):
    s = shop(macs=(MAC,))
    for method, path, query, fields, data in requests:
        target = f"/{path}?" + "&".join(f"{name}={value}" for name, value in query.items())
        headers, body = s.multipart(fields, data)
        answer = s.ap.handle(method, target, headers, body)
        assert answer.fate == "refused" or 200 <= answer.status < 600
        s.run(3)
    s.run(400)


@settings(max_examples=200, deadline=None)
@given(st.text(), st.text(), st.dictionaries(st.text(), st.text(), max_size=3), st.binary(max_size=300))
def test_no_bytes_break_the_reader(method, target, headers, body):
    read_request(method, target, headers, body)
    for kind in ("multipart/form-data; boundary=b", "application/x-www-form-urlencoded", "multipart/form-data"):
        read_request(method, target, {"Content-Type": kind}, b"--b\r\n" + body + b"\r\n--b--")
