import { randomBytes, randomInt } from 'node:crypto';

/**
 * UUID version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, then random bits. Sorts by time of creation.
 */
export function uuidv7(now: number = Date.now()): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now, 0, 6);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A one-time token for links: 32 random bytes, base64url, 43 characters. */
export function newToken(): string {
  return randomBytes(32).toString('base64url');
}

const COLOURS =
  'amber ash azure bronze chalk clay cobalt copper coral cream dusky ebony fawn flint frost gold green grey hazel indigo ivory jade khaki lilac lime maroon mauve mint navy ochre olive opal pearl pewter pine plum quartz red rose ruby rust sable sand sepia silver slate tan teal umber violet white'.split(
    ' ',
  );
const ANIMALS =
  'adder badger bear beaver bison bittern buzzard carp cormorant crane curlew deer dipper dove eagle egret elk falcon ferret finch fox gannet goose grouse gull hare hawk heron ibex jackdaw kestrel lapwing lark lynx magpie marten merlin mole moose newt osprey otter owl partridge perch petrel pike plover puffin quail raven robin salmon seal shrew shrike skua snipe stag stoat stork swan swift teal tern thrush toad trout viper vole weasel wren'.split(
    ' ',
  );
const TREES =
  'alder apple aspen bay beech birch box briar cedar cherry chestnut cypress elder elm fern fig fir gorse hawthorn heath hemlock holly hornbeam ivy juniper larch laurel linden maple medlar mulberry myrtle oak osier palm pear poplar quince rowan rush sedge sorrel spruce sumac sycamore thorn walnut willow yew'.split(
    ' ',
  );
const THINGS =
  'anchor anvil barrel basin beacon bell bench bolt bridge bucket buckle cable candle castle chain chest clock compass crown cup drum engine ferry flag forge gate hammer harbour hinge kettle key ladder lantern lever lock loom mast mill mirror oar paddle pillar pump quay raft rope rudder saddle sail sluice spade tower trunk tunnel turret valve wagon weir wharf wheel whistle window'.split(
    ' ',
  );

function handle(first: readonly string[], second: readonly string[]): string {
  return `${first[randomInt(first.length)]}-${second[randomInt(second.length)]}-${randomInt(1000, 10000)}`;
}

/** A person's handle such as `amber-otter-4821`: random, stable, meaningless. Unique only once the store accepted it. */
export function newPersonHandle(): string {
  return handle(COLOURS, ANIMALS);
}

/** A device's handle such as `oak-lantern-2207`, from other words than a person's. */
export function newDeviceHandle(): string {
  return handle(TREES, THINGS);
}

/** The form of every handle, for validation at doors. */
export const HANDLE = /^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$/;
