"""Statuses, bodies and quirks of the HTTP side, and the multipart parser that takes labelled text for files."""

import json

import pytest

from drivers.simulators._ap_types import TAG_TYPES

UNKNOWN = "0000FFFFFFFFFFFF"


def test_a_labelled_text_part_is_a_file_so_the_upload_is_dropped_with_200(shop):
    s = shop()
    headers, body = s.multipart({"mac": s.mac, "dither": "0"}, s.jpeg(s.picture(s.kind(), 1)))
    labelled = body.replace(b'name="mac"\r\n', b'name="mac"\r\nContent-Type: text/plain; charset=utf-8\r\n')
    answer = s.ap.handle("POST", "/imgupload", headers, labelled)
    s.run(5)
    assert (answer.status, answer.body) == (200, b"")
    assert s.record()["pending"] == 0
    assert not s.ap.box.files


def test_the_mac_must_come_before_the_file(shop):
    s = shop()
    headers, body = s.multipart({}, s.jpeg(s.picture(s.kind(), 1)), after={"mac": s.mac})
    assert s.ap.handle("POST", "/imgupload", headers, body).status == 200
    s.run(5)
    assert s.record()["pending"] == 0
    frank = shop(answers_twice=False)
    answer = frank.ap.handle("POST", "/imgupload", headers, body)
    assert (answer.status, answer.body) == (400, b"parameters incomplete")


def test_fields_after_the_file_are_not_seen_by_the_upload(shop):
    s = shop()
    headers, body = s.multipart({"mac": s.mac}, s.jpeg(s.picture(s.kind(), 1)), after={"dither": "0", "alias": "x"})
    s.ap.handle("POST", "/imgupload", headers, body)
    assert json.loads(s.record()["modecfgjson"])["dither"] == "1"
    assert s.record()["alias"] == ""


def test_an_upload_is_echoed_with_its_new_configuration(shop):
    s = shop()
    s.upload(1, ttl="5", contentmode="25", alias="A 1")
    told = s.told("tags")[-1][0]
    config = json.loads(told["modecfgjson"])
    assert (told["mac"], told["contentMode"], told["alias"], told["nextupdate"]) == (s.mac, 25, "A 1", 0)
    assert config["filename"].startswith(f"/temp/{s.mac}_")
    assert (config["timetolive"], config["dither"], config["delete"]) == ("5", "0", "1")
    s.upload(2)
    assert json.loads(s.record()["modecfgjson"])["filename"] != config["filename"]


def test_409_while_starting_or_busy(shop):
    s = shop()
    s.ap.faults.busy_409(10)
    answer = s.upload(1)
    assert (answer.status, answer.body) == (409, b"Come back later")
    s.run(11)
    assert s.upload(1).status == 200
    s.ap.faults.reboot_ap()
    s.run(10)
    assert s.upload(1).status == 409
    assert s.post("/jsonupload", mac=s.mac, json="{}").status == 409
    s.run(30)
    assert s.upload(1).status == 200


def test_a_lost_answer_has_been_carried_out(shop):
    s = shop()
    s.ap.faults.http_timeout_next()
    assert s.upload(1).fate == "lost"
    s.until(lambda: s.shows(1))
    assert s.get("/sysinfo").fate == "answered"


def test_get_db_forms_of_a_mac(shop):
    s = shop(macs=("00000A1B2C3D4E5F",))
    for form in ("00000A1B2C3D4E5F", "00000a1b2c3d4e5f", "0A1B2C3D4E5F"):
        assert json.loads(s.get(f"/get_db?mac={form}").body)["tags"][0]["mac"] == "00000A1B2C3D4E5F"
    assert json.loads(s.get(f"/get_db?mac={UNKNOWN}").body) == {"tags": []}
    for bad in ("12", "zz1B2C3D4E5F", ""):
        answer = s.get(f"/get_db?mac={bad}")
        assert (answer.status, json.loads(answer.body)) == (200, {"error": "malformatted parameter"})


def test_pages_are_cut_at_5000_bytes(shop):
    s = shop(tags=25, listen=False)
    first = s.get("/get_db")
    page = json.loads(first.body)
    assert page["continu"] == len(page["tags"])
    assert len(first.body) > 5000
    shorter = first.body[: first.body.rindex(b',{"mac"')]
    assert len(shorter) < 5000
    seen, at = [], 0
    while True:
        page = json.loads(s.get(f"/get_db?pos={at}").body)
        seen += [tag["mac"] for tag in page["tags"]]
        if "continu" not in page:
            break
        at = page["continu"]
    assert seen == list(s.macs)


def test_record_fields_by_name(shop):
    s = shop(macs=("00000A1B2C3D4E5F",), types=(0x6E,))
    names = (
        "mac hash lastseen nextupdate nextcheckin pending alias contentMode LQI RSSI temperature batteryMv hwType "
        "wakeupReason capabilities modecfgjson isexternal apip rotate lut invert updatecount updatelast ch ver"
    )
    assert list(s.record()) == names.split()
    assert s.record()["hwType"] == 0x6E
    assert s.record()["nextupdate"] == 3216153600


def test_sys_every_five_seconds_and_counts_once_a_minute(shop):
    s = shop()
    s.run(121)
    told = s.told("sys")
    assert 23 <= len(told) <= 25
    assert sum("timeoutcount" in one for one in told) in (2, 3)
    names = "currtime heap recordcount dbsize littlefsfree psfree apstate runstate rssi wifistatus wifissid uptime"
    assert set(names.split()) <= set(told[0])
    assert told[-1]["uptime"] - told[0]["uptime"] == told[-1]["currtime"] - told[0]["currtime"]


def test_tag_cmd_answers(shop):
    s = shop()
    assert (s.command("no such command").status, s.command("clear").body) == (200, b"Ok, done")
    assert s.command("clear", UNKNOWN).status == 400
    assert s.post("/tag_cmd", mac=s.mac).status == 500
    frames = len(s.frames)
    assert s.command("del").status == 200
    assert len(s.frames) == frames  # nobody is told of a deletion
    assert json.loads(s.get(f"/get_db?mac={s.mac}").body) == {"tags": []}


def test_purge_is_for_the_whole_box(shop):
    s = shop(tags=3)
    s.ap.faults.silence_tag(s.macs[2])
    s.run(2 * 3600)
    s.command("purge", s.macs[0])
    assert [tag["mac"] for tag in json.loads(s.get("/get_db").body)["tags"]] == list(s.macs[:2])


def test_led_flash_answers(shop):
    s = shop()
    assert s.get(f"/led_flash?mac={s.mac}&pattern=12").status == 400
    assert s.get(f"/led_flash?pattern={'00' * 12}").status == 400
    assert s.get(f"/led_flash?mac={s.mac}&pattern={'00' * 12}").status == 200


def test_save_cfg_says_200_even_when_it_failed(shop):
    s = shop()
    assert s.post("/save_cfg", mac=s.mac, alias="Milk", lut="1").body == b"Ok, saved"
    assert (s.record()["alias"], s.record()["lut"]) == ("Milk", 1)
    answer = s.post("/save_cfg", mac=UNKNOWN)
    assert (answer.status, answer.body) == (200, b"Error while saving: mac not found")


def test_getdata_gives_what_is_pending_and_md5_is_written_backwards(shop):
    s = shop()
    assert s.get(f"/getdata?mac={s.mac}").status == 404
    assert s.get(f"/getdata?mac={UNKNOWN}").status == 400
    s.upload(1)
    s.run(1.5)
    data = s.get(f"/getdata?mac={s.mac}").body
    s.until(lambda: s.shows(1))
    assert s.get(f"/current/{s.mac}.raw").body == data
    assert s.get(f"/getdata?mac={s.mac}").status == 404
    version = s.record()["hash"][:16]
    s.upload(2)
    s.run(1.5)
    waiting = s.ap.box.queued(s.mac)[0].announcement.version
    assert s.get(f"/getdata?mac={s.mac}&md5={waiting[::-1].hex()}").status == 200
    assert s.get(f"/getdata?mac={s.mac}&md5={waiting.hex()}").status == 404
    assert s.get(f"/getdata?mac={s.mac}&md5={version}").status == 404


def test_raw_is_kept_only_with_preview_and_may_be_cached(shop):
    s = shop(settings=(("nightlyreboot", 0), ("preview", 0)))
    s.put(1)
    assert s.get(f"/current/{s.mac}.raw").status == 404
    s.post("/save_apcfg", preview="1")
    s.put(2)
    answer = s.get(f"/current/{s.mac}.raw?x=1")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "max-age=604800"


def test_ap_config_is_read_and_written_and_flags_are_strings(shop):
    s = shop(settings=())
    told = json.loads(s.get("/get_ap_config").body)
    assert told["nightlyreboot"] == 1
    assert (told["C6"], told["H2"], told["apstate"]) == ("1", "0", "1")
    assert s.post("/save_apcfg", nightlyreboot="0", alias="aisle").status == 200
    told = json.loads(s.get("/get_ap_config").body)
    assert (told["nightlyreboot"], told["alias"], told["maxsleep"]) == (0, "aisle", 10)


def test_set_time_mends_a_wrong_clock(shop):
    s = shop(clock_wrong_s=-1_700_000_000.0)
    s.run(60)
    assert s.told("sys")[-1]["currtime"] < 1_000_000_000
    assert s.post("/set_time", epoch="12").status == 400
    assert s.post("/set_time").status == 400
    assert s.post("/set_time", epoch="1795000060").status == 200
    assert abs(s.told("sys")[-1]["currtime"] - 1_795_000_060) <= 1
    s.put(1)


def test_tag_types_are_served_for_all_tags(shop):
    s = shop()
    for number, kind in TAG_TYPES.items():
        told = json.loads(s.get(f"/tagtypes/{number:02X}.json").body)
        assert (told["width"], told["height"]) == (kind.width, kind.height)
        assert list(told["colortable"]) == list(kind.colors)
    assert s.get("/tagtypes/EE.json").status == 404


def test_backup_and_restore(shop):
    s = shop(tags=4)
    s.put(1)
    saved = s.get("/backup_db").body
    s.command("del")
    headers, body = s.multipart({}, saved)
    assert s.ap.handle("POST", "/restore_db", headers, body).status == 200
    assert s.record()["updatecount"] == 1
    headers, body = s.multipart({}, b'[{"mac":"nonsense"}]')
    s.ap.handle("POST", "/restore_db", headers, body)
    assert json.loads(s.get("/get_db").body) == {"tags": []}


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("GET", "/imgupload"), ("PUT", "/get_db")])
def test_what_is_not_there_is_404_and_any_origin_may_ask(shop, method, path):
    answer = shop().ap.handle(method, path)
    assert answer.status == 404
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_no_authentication_and_the_wifi_password_in_clear(shop):
    told = json.loads(shop().get("/get_wifi_config").body)
    assert told["pw"]
    assert told["mac"]
