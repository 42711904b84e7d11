/** Words for names of containers: short, plain, and nobody's name. */
export const ADJECTIVES: readonly string[] = (
  'amber azure bold brave bright brisk calm clear clever cobalt cool crisp dapper deep eager early even fair fleet fond ' +
  'fresh gentle glad golden grand green happy hardy hazel humble jolly keen kind late light lively loyal lucky mellow ' +
  'merry mild misty neat nimble noble olive patient plain polite proud quick quiet rapid ready rosy round ruby sharp shy ' +
  'silent silver sleek smooth snowy soft solid spry steady still sturdy sunny swift tall tame tidy trusty vivid warm wise witty young'
).split(' ');

export const NOUNS: readonly string[] = (
  'acorn anchor apple badger barley basin beacon beaver birch bison bramble breeze brook canyon cedar cliff cloud clover ' +
  'comet coral cove crane creek cricket dawn delta dune ember falcon fern field finch fjord forest fox garden glacier grove ' +
  'harbour hare harvest hawk hazel heath heron hill island ivy jasmine juniper kestrel lagoon lake lantern lark laurel ' +
  'maple marsh meadow mill moss oak orchard otter owl pebble pine plover pond poplar prairie quartz rain raven reef ridge ' +
  'river robin sage shore sparrow spruce stone stream summit swan thistle tide trail valley willow wren'
).split(' ');
