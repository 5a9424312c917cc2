import { fromBase64url } from '#base';
import { type Shape, shape } from '#seal';
import { BOX_BYTES, type Keeper } from './keeper.ts';

const { object, list, integer, oneOf, base64url, text } = shape;

export type KeeperCaller = 'sealer' | 'operator' | 'glass';

/** A message of a caller: how it is read and what it does. */
export interface KeeperDoor {
  readonly from: readonly KeeperCaller[];
  readonly answer: (keeper: Keeper, body: unknown) => object | Promise<object>;
}

const door = <T>(from: KeeperCaller | 'people', parse: Shape<T>, answer: (keeper: Keeper, body: T) => object) => ({
  from: from === 'people' ? (['operator', 'glass'] as const) : [from],
  answer: (keeper: Keeper, body: unknown) => answer(keeper, parse(body)),
});

const key = base64url(32, 65);
const nothing = object({});

/** Everything that the keeper does, for whom. */
export const KEEPER_DOORS: { readonly [type: string]: KeeperDoor } = {
  make: door('sealer', object({ number: integer(2, 1_000_000) }), (keeper, { number }) => keeper.make(number)),
  keep: door('sealer', object({ source: oneOf('kms', 'quorum'), key, box: base64url(BOX_BYTES) }), (keeper, body) =>
    keeper.keep(body.source, body.key, Buffer.from(fromBase64url(body.box))),
  ),
  take: door('sealer', object({ key, to: base64url(32) }), (keeper, body) => keeper.take(body.key, body.to)),
  prove: door('sealer', object({ key }), (keeper, body) => keeper.prove(body.key)),
  derive: door('sealer', object({ key, points: list(base64url(65), 500, 1) }), (keeper, body) =>
    keeper.derive(body.key, body.points),
  ),
  has: door('sealer', object({ key }), (keeper, body) => keeper.has(body.key)),
  destroy: door('sealer', object({ key }), (keeper, body) => keeper.destroy(body.key)),
  // Shares come from the command line, or from an administrator's page on glass.
  share: door('people', object({ share: text(400, { min: 10 }) }), (keeper, { share }) => keeper.share(share)),
  waiting: door('glass', nothing, (keeper) => keeper.waiting()),
  fetch: door('operator', nothing, (keeper) => keeper.fetch()),
  status: door('operator', nothing, (keeper) => keeper.status()),
};
