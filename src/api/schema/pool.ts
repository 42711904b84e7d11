import Type from 'typebox';
import type {
  AddressPool,
  AddressPoolDetail,
  AllocateSpec,
  Allocation,
  PoolSpec,
  ReleaseSpec,
} from '../../model/index.ts';
import { define, type Named, STRICT, stringMap, text, words } from './define.ts';

const POOL = {
  id: text('64 hexadecimal digits.'),
  name: text('Unique.'),
  created: text('ISO 8601.'),
  subnet: text('`10.1.0.0/16`'),
  gateway: text('Never handed out to anybody else; empty for none.'),
  ipRange: Type.Optional(text('Automatic addresses come from this part only.')),
  auxAddresses: Type.Optional(stringMap('Names and addresses that are never handed out.')),
};
export const addressPool: Named<AddressPool> = define<AddressPool>()('AddressPool', Type.Object(POOL));

export const allocation: Named<Allocation> = define<Allocation>()(
  'Allocation',
  Type.Object({ address: text("With the pool's prefix length: `10.1.0.2/16`."), owner: text('Whose it is.') }),
);

export const addressPoolDetail: Named<AddressPoolDetail> = define<AddressPoolDetail>()(
  'AddressPoolDetail',
  Type.Object({ ...POOL, allocations: Type.Array(allocation.ref) }),
);

export const poolSpec: Named<PoolSpec> = define<PoolSpec>()(
  'PoolSpec',
  Type.Object(
    {
      name: Type.Optional(text('Unique: the pool of that name is found, where there is one. Missing: after the id.')),
      family: Type.Optional(
        Type.Unsafe<4 | 6>({ type: 'integer', enum: [4, 6], description: 'Where no subnet is given; default 4.' }),
      ),
      subnet: Type.Optional(text('Missing: a free one.')),
      gateway: Type.Optional(text('Inside the subnet; missing: its first address; `none`.')),
      ipRange: Type.Optional(text('Automatic addresses come from this part only.')),
      auxAddresses: Type.Optional(stringMap('Names and addresses that are never handed out.')),
    },
    STRICT,
  ),
);

const REF = Type.String({ description: 'Name or id of the pool.', minLength: 1 });

export const allocateSpec: Named<AllocateSpec> = define<AllocateSpec>()(
  'AllocateSpec',
  Type.Object(
    {
      pool: REF,
      address: Type.Optional(text('Missing: a free one.')),
      owner: text('Whose it is to be: who asks again has the same answer.'),
      as: Type.Optional(words(['gateway', 'auxiliary'], "Part of the pool's own record, which a reboot leaves alone.")),
    },
    STRICT,
  ),
);

export const releaseSpec: Named<ReleaseSpec> = define<ReleaseSpec>()(
  'ReleaseSpec',
  Type.Object(
    { pool: REF, address: Type.Optional(text('Whoever has it.')), owner: Type.Optional(text('Whatever he has.')) },
    STRICT,
  ),
);
