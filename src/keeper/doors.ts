import { fromBase64url } from '#base';
import { type Shape, shape } from '#seal';
import { BOX_BYTES, type Keeper } from './keeper.ts';

const { object, list, integer, oneOf, base64url, text } = shape;

/** A message of a caller: how it is read and what it does. */
export interface KeeperDoor {
  readonly from: 'sealer' | 'operator';
  readonly answer: (keeper: Keeper, body: unknown) => object | Promise<object>;
}

const door = <T>(from: KeeperDoor['from'], parse: Shape<T>, answer: (keeper: Keeper, body: T) => object) => ({
  from,
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
  share: door('operator', object({ share: text(400, { min: 10 }) }), (keeper, { share }) => keeper.share(share)),
  fetch: door('operator', nothing, (keeper) => keeper.fetch()),
  status: door('operator', nothing, (keeper) => keeper.status()),
};
