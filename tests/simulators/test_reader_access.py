"""Access operations on a simulated tag: results, passwords, locks, death; in virtual time, read by llrpkit's codec."""

from llrpkit.protocol import messages, params
from llrpkit.protocol.codec import BitStr

from tests.simulators.reader_peer import Peer, epc, fleet_of

KILL, ACCESS = 0xBEEF, 0xCAFE
RESERVED, EPC, TID, USER = range(4)


class Desk:
    """One tag, one reader, and operations that are done to it one after the other."""

    def __init__(self, tags=1):
        self.fleet = fleet_of(tags=tags, static=0)
        self.tag = self.fleet.world.items[0]
        self.tag.hit = 1.0
        self.peer = Peer(self.fleet)
        self.peer.add()

    def do(self, *ops, target=None):
        """Carry operations out once; returns (result, more) of each."""
        mask = BitStr.from_bytes(b"\xff" * len(target)) if target else BitStr()
        data = BitStr.from_bytes(target) if target else BitStr()
        spot = params.C1G2TargetTag(mb=1, match=True, pointer=0x20, tag_mask=mask, tag_data=data)
        spec = params.AccessSpec(
            access_spec_id=5, antenna_id=0, protocol_id=1, current_state=False, ro_spec_id=0,
            access_spec_stop_trigger=params.AccessSpecStopTrigger(access_spec_stop_trigger=1, operation_count_value=1),
            access_command=params.AccessCommand(
                air_protocol_tag_spec=params.C1G2TagSpec(c1_g2_target_tags=[spot]), access_command_op_specs=list(ops)
            ),
        )  # fmt: skip
        self.peer.order(messages.ADD_ACCESSSPEC(access_spec=spec))
        self.peer.order(messages.ENABLE_ACCESSSPEC(access_spec_id=5))
        (read,) = (one for one in self.peer.run(3).reads() if one.access_command_op_spec_results)
        assert read.access_spec_id.access_spec_id == 5
        assert self.peer.order(messages.GET_ACCESSSPECS()).access_specs == []  # its count is full
        return [int(one.result) for one in read.access_command_op_spec_results]

    def write(self, bank, at, words, password=0):
        op = params.C1G2Write(op_spec_id=1, access_password=password, mb=bank, word_pointer=at, write_data=words)
        return self.do(op)[0]

    def read(self, bank, password=0, count=0):
        op = params.C1G2Read(op_spec_id=1, access_password=password, mb=bank, word_pointer=0, word_count=count)
        return self.do(op)[0]

    def lock(self, field, privilege, password=0):
        payload = params.C1G2LockPayload(privilege=privilege, data_field=field)
        return self.do(params.C1G2Lock(op_spec_id=1, access_password=password, c1_g2_lock_payloads=[payload]))[0]

    def kill(self, password):
        return self.do(params.C1G2Kill(op_spec_id=1, kill_password=password))[0]


def test_a_tag_without_a_kill_password_cannot_be_killed():
    desk = Desk()
    assert (desk.kill(0), desk.kill(7), desk.tag.killed) == (1, 1, False)


def test_the_right_password_kills_for_ever():
    desk = Desk()
    assert desk.write(RESERVED, 0, [0, KILL]) == 0
    assert (desk.kill(KILL + 1), desk.tag.killed) == (3, False)
    assert (desk.kill(KILL), desk.tag.killed) == (0, True)
    desk.peer.reads()
    assert desk.peer.run(3).reads() == []


def test_a_lock_wants_the_password():
    desk = Desk()
    assert desk.write(RESERVED, 2, [0, ACCESS]) == 0
    assert desk.lock(4, 0) == 2  # the user's memory, without the password
    assert desk.write(USER, 0, [1]) == 0
    assert desk.lock(4, 0, ACCESS) == 0
    assert desk.write(USER, 0, [2]) == 2
    assert desk.write(USER, 0, [3], ACCESS + 1) == 4
    assert desk.write(USER, 0, [4], ACCESS) == 0
    assert desk.tag.bank(USER)[:2] == b"\x00\x04"


def test_a_permanent_lock_is_permanent():
    desk = Desk()
    assert (desk.lock(2, 1), desk.lock(2, 3)) == (0, 2)
    before = desk.tag.epc
    assert (desk.write(EPC, 2, [1, 2]), desk.tag.epc) == (2, before)


def test_locked_passwords_are_not_told():
    desk = Desk()
    desk.write(RESERVED, 0, [0, KILL, 0, ACCESS])
    assert desk.read(RESERVED) == 0
    desk.lock(0, 0, ACCESS)
    assert (desk.read(RESERVED), desk.read(RESERVED, ACCESS)) == (1, 0)


def test_memory_has_an_end_and_a_tid_is_not_written():
    desk = Desk()
    assert desk.write(USER, 31, [1, 2]) == 1
    assert desk.write(TID, 0, [1]) == 2
    assert (desk.read(TID), desk.read(TID, count=99)) == (0, 1)


def test_a_longer_epc_comes_with_its_pc_word():
    desk = Desk()
    new = bytes(range(0x30, 0x40))
    words = [int.from_bytes(new[at : at + 2]) for at in range(0, 16, 2)]
    assert desk.write(EPC, 1, [8 << 11, *words]) == 0
    desk.peer.reads()
    assert {epc(read) for read in desk.peer.run(1).reads()} == {new}
    assert desk.fleet.world.tags == {new: desk.tag}


def test_only_the_target_is_touched():
    desk = Desk(tags=40)
    target = desk.fleet.world.items[17]
    target.hit = 1.0
    op = params.C1G2Write(op_spec_id=1, access_password=0, mb=USER, word_pointer=0, write_data=[7])
    assert desk.do(op, target=target.epc) == [0]
    assert [tag for tag in desk.fleet.world.items if tag.bank(USER)[1] == 7] == [target]
