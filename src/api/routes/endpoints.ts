import { CHANGE, listOf, type Operation, operation } from '../operation.ts';
import { change, endpoint } from '../schema/index.ts';

/** `/v1/endpoints`: interfaces in namespaces that somebody else made. */
export const endpointRoutes: readonly Operation[] = [
  operation({
    id: 'endpointAttach',
    method: 'POST',
    path: '/v1/endpoints',
    summary: 'Attach a namespace, or a tap device, to a network',
    tag: 'endpoints',
    query: CHANGE,
    body: endpoint.attachSpec,
    answer: change.endpointOutcome.ref,
    creates: true,
    run: ({ engine, body, query }) => engine.endpointAttach(body, query),
  }),
  operation({
    id: 'endpointList',
    method: 'GET',
    path: '/v1/endpoints',
    summary: 'List endpoints',
    tag: 'endpoints',
    answer: listOf(endpoint.endpoint),
    run: ({ engine }) => engine.endpointList(),
  }),
  operation({
    id: 'endpointInspect',
    method: 'GET',
    path: '/v1/endpoints/:id',
    summary: 'One endpoint',
    tag: 'endpoints',
    answer: endpoint.endpoint.ref,
    run: ({ engine, params }) => engine.endpointInspect(params['id'] as string),
  }),
  operation({
    id: 'endpointUpdate',
    method: 'PATCH',
    path: '/v1/endpoints/:id',
    summary: 'Publish and unpublish ports, or set rates, of an endpoint in a bare namespace',
    tag: 'endpoints',
    query: CHANGE,
    body: endpoint.endpointUpdate,
    answer: change.endpointOutcome.ref,
    run: ({ engine, params, body, query }) => engine.endpointUpdate(params['id'] as string, body, query),
  }),
  operation({
    id: 'endpointDetach',
    method: 'DELETE',
    path: '/v1/endpoints/:id',
    summary: 'Take an endpoint away',
    tag: 'endpoints',
    query: [...CHANGE, 'behind'],
    answer: change.endpointOutcome.ref,
    run: ({ engine, params, query }) => engine.endpointDetach(params['id'] as string, query),
  }),
];
