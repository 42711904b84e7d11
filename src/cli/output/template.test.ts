import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileTemplate } from './template.ts';

const data = {
  ID: 'abc',
  Name: 'web',
  State: { Status: 'running', Pid: 42 },
  Networks: { b: { IPAddress: '10.0.1.2' }, a: { IPAddress: '10.0.0.2' } },
  Args: ['sleep', '1000'],
  Empty: [],
  Labels: { 'com.example.x': 'y' },
};
const table: [template: string, expected: string][] = [
  ['{{.Name}}', 'web'],
  ['{{ .State.Status }}', 'running'],
  ['{{.ID}}\\t{{.Name}}', 'abc\tweb'],
  ['{{json .Args}}', '["sleep","1000"]'],
  ['{{.Args | json}}', '["sleep","1000"]'],
  ['{{json .}}', JSON.stringify(data)],
  ['{{range .Networks}}{{.IPAddress}} {{end}}', '10.0.0.2 10.0.1.2 '],
  ['{{range $name, $net := .Networks}}{{$name}}={{$net.IPAddress}};{{end}}', 'a=10.0.0.2;b=10.0.1.2;'],
  ['{{range $i, $_ := .Args}}{{$i}}{{$.Name}}{{end}}', '0web1web'],
  ['{{range .Empty}}x{{else}}none{{end}}', 'none'],
  ['{{if eq .State.Status "running"}}up{{else}}down{{end}}', 'up'],
  ['{{if gt .State.Pid 50}}a{{else if gt .State.Pid 40}}b{{else}}c{{end}}', 'b'],
  ['{{with .State}}{{.Pid}}{{end}}', '42'],
  ['{{index .Labels "com.example.x"}}', 'y'],
  ['{{index .Args 1}}', '1000'],
  ['{{join .Args ","}}', 'sleep,1000'],
  ['{{len .Args}} {{upper .Name}}', '2 WEB'],
  ['{{printf "%s/%-5s|" .Name (index .Args 0)}}', 'web/sleep|'],
  ['{{.Args}} {{.State}}', '[sleep 1000] map[Pid:42 Status:running]'],
  ['a {{- .Name -}} b', 'awebb'],
  ['{{$n := .Name}}{{$n}}{{/* not shown */}}', 'web'],
  ['{{index .Labels "missing"}}', '<no value>'],
];
for (const [template, expected] of table) test(template, () => assert.equal(compileTemplate(template)(data), expected));

for (const bad of [
  '{{.Name',
  '{{range .Args}}',
  '{{end}}',
  '{{Name}}',
  '{{nosuch .Name}}',
  '{{}}',
  '{{.Name .ID}}',
  '{{(len .Args}}',
  '{{&}}',
]) {
  test(`${bad} is refused`, () => assert.throws(() => compileTemplate(bad), { code: 'EUSAGE' }));
}
test('a field that is not there is an error that lists those that are', () => {
  assert.throws(() => compileTemplate('{{.Nmae}}')(data), { code: 'EUSAGE', hint: /\.Name/ });
});
