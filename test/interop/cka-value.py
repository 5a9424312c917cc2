# A thief with the PIN at a PKCS #11 token: asks for a private key's CKA_VALUE, tries to make it extractable, and to copy it as a key
# that is. Prints the token's answers (CK_RV) as JSON. Arguments: module, token label, PIN, CKA_ID in hexadecimal.
import ctypes, json, sys
from ctypes import c_ulong, c_void_p, byref, create_string_buffer, cast, Structure, POINTER

module, label, pin, key_id = sys.argv[1:5]
lib = ctypes.CDLL(module)

class Attribute(Structure):
    _fields_ = [("type", c_ulong), ("value", c_void_p), ("length", c_ulong)]

def attribute(kind, value):
    buffer = create_string_buffer(value, len(value))
    keep.append(buffer)
    return Attribute(kind, cast(buffer, c_void_p), len(value))

keep = []
CLASS, ID, VALUE, SENSITIVE, EXTRACTABLE = 0x0, 0x102, 0x11, 0x103, 0x162
PRIVATE = (3).to_bytes(ctypes.sizeof(c_ulong), sys.byteorder)

def must(result):
    if result != 0:
        sys.exit(f"unexpected answer {result:#x}")

must(lib.C_Initialize(None))
count = c_ulong(0)
must(lib.C_GetSlotList(1, None, byref(count)))
slots = (c_ulong * count.value)()
must(lib.C_GetSlotList(1, slots, byref(count)))
session = c_ulong(0)
for slot in slots:
    info = create_string_buffer(512)
    must(lib.C_GetTokenInfo(c_ulong(slot), info))
    if info.raw[:32].decode().strip() == label:
        must(lib.C_OpenSession(c_ulong(slot), c_ulong(4 | 2), None, None, byref(session)))
        break
must(lib.C_Login(session, c_ulong(1), pin.encode(), c_ulong(len(pin))))
wanted = (Attribute * 2)(attribute(CLASS, PRIVATE), attribute(ID, bytes.fromhex(key_id)))
must(lib.C_FindObjectsInit(session, wanted, c_ulong(2)))
key, found = c_ulong(0), c_ulong(0)
must(lib.C_FindObjects(session, byref(key), c_ulong(1), byref(found)))
must(lib.C_FindObjectsFinal(session))
if found.value != 1:
    sys.exit("no such key")
space = create_string_buffer(256)
read = (Attribute * 1)(Attribute(VALUE, cast(space, c_void_p), 256))
value = lib.C_GetAttributeValue(session, key, read, c_ulong(1))
open_up = (Attribute * 2)(attribute(SENSITIVE, b"\0"), attribute(EXTRACTABLE, b"\1"))
change = lib.C_SetAttributeValue(session, key, open_up, c_ulong(2))
copy = c_ulong(0)
copied = lib.C_CopyObject(session, key, open_up, c_ulong(2), byref(copy))
print(json.dumps({"value": value, "change": change, "copy": copied, "leaked": any(space.raw)}))
