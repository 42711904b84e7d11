import Type, { type Static, type TSchema } from 'typebox';

/** A schema with a name in the OpenAPI document, describing the model type `M` exactly. */
export interface Named<M> {
  readonly id: string;
  /** The definition, as registered once. */
  readonly schema: TSchema;
  /** What stands where the definition is used: `{ $ref: 'Network#' }`. */
  readonly ref: Type.TUnsafe<M>;
}

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
type Identical<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;
/** True where two types differ in nothing but `readonly`. */
export type SameType<A, B> = Identical<DeepReadonly<A>, DeepReadonly<B>>;

/**
 * Names a schema that must say what the model type says: `define<Endpoint>()('Endpoint', Type.Object(…))` does not
 * compile when a field is missing, superfluous, or of another type.
 */
export function define<M>(): <S extends TSchema>(
  id: string,
  schema: S & (SameType<Static<S>, M> extends true ? unknown : { readonly differs: Static<S> }),
) => Named<M> {
  return (id, schema) => ({ id, schema: { ...schema, $id: id }, ref: Type.Unsafe<M>({ $ref: `${id}#` }) });
}

/** String to string; as `additionalProperties`, which serialises faster than the pattern that `Type.Record` makes. */
export function stringMap(description: string): Type.TUnsafe<Readonly<Record<string, string>>> {
  return Type.Unsafe<Readonly<Record<string, string>>>({
    type: 'object',
    additionalProperties: { type: 'string' },
    description,
  });
}

/** One of a few words. */
export function words<const W extends readonly string[]>(list: W, description: string): Type.TUnsafe<W[number]> {
  return Type.Unsafe<W[number]>({ type: 'string', enum: list, description });
}

/** A string with its meaning. */
export function text(description: string): Type.TString {
  return Type.String({ description });
}

/** For bodies: an unknown field is an error, since it is a wish that would be ignored. */
export const STRICT: { readonly additionalProperties: false } = { additionalProperties: false };
