/** What an instrument measures; the table below is also the source of docs/metrics.md. */
export interface Definition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram, seconds. */
  readonly buckets?: readonly number[];
}

/** From 50 µs, what one answer of the kernel takes, to a second. */
const SHORT = [0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];
const LONG = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

/** The labels of each. */
interface Counters {
  readonly netloom_operations_total: 'verb' | 'result';
  readonly netloom_repairs_total: 'kind' | 'verb';
  readonly netloom_repair_back_offs_total: 'kind';
  readonly netloom_kernel_events_lost_total: never;
  readonly netloom_host_firewall_reads_total: never;
  readonly netloom_reclaimed_total: 'kind';
  readonly netloom_dropped_packets_total: 'reason';
  readonly netloom_dropped_bytes_total: 'reason';
  readonly netloom_confined_connections_total: never;
  readonly netloom_dns_queries_total: 'source' | 'rcode';
  readonly netloom_dns_rejected_total: 'reason';
  readonly netloom_dns_upstream_answers_total: never;
  readonly netloom_dns_upstream_seconds_total: never;
  readonly netloom_dns_upstream_failures_total: never;
  readonly netloom_dhcp_replies_total: 'outcome';
  readonly netloom_dhcp_renewals_total: 'result';
}
interface Gauges {
  readonly netloom_build_info: 'version' | 'node' | 'kernel';
  readonly netloom_networks: 'driver';
  readonly netloom_containers: 'status';
  readonly netloom_endpoints: 'network';
  readonly netloom_published_ports: 'protocol';
  readonly netloom_leases: 'network' | 'family';
  readonly netloom_pool_addresses: 'network' | 'family';
  readonly netloom_kernel_calls_waiting: 'family';
  readonly netloom_links_dying: never;
  readonly netloom_bgp_neighbors: 'state';
  readonly netloom_bgp_prefixes: 'direction';
  readonly netloom_dns_cache_entries: never;
  readonly netloom_dns_cache_bytes: never;
  readonly netloom_dns_questions_waiting: never;
  readonly netloom_dhcp_leases: never;
  readonly netloom_dhcp_machines: never;
  readonly netloom_event_listeners: never;
  readonly netloom_event_loop_lag_seconds: never;
}
interface Histograms {
  readonly netloom_operation_duration_seconds: 'verb';
  readonly netloom_kernel_call_duration_seconds: 'family' | 'lane';
  readonly netloom_repair_duration_seconds: never;
}
type Labels = Counters & Gauges & Histograms;

/** Every metric there is, under Prometheus' conventions. @see https://prometheus.io/docs/practices/naming/ */
export const METRICS: Readonly<Record<MetricName, Definition>> = {
  netloom_build_info: {
    type: 'gauge',
    help: 'Always 1; the labels say what runs.',
    labels: ['version', 'node', 'kernel'],
  },
  netloom_networks: { type: 'gauge', help: 'Networks, by driver.', labels: ['driver'] },
  netloom_containers: { type: 'gauge', help: 'Containers, by what their command does.', labels: ['status'] },
  netloom_endpoints: { type: 'gauge', help: 'Endpoints, by network.', labels: ['network'] },
  netloom_published_ports: {
    type: 'gauge',
    help: 'Host ports published, by transport protocol.',
    labels: ['protocol'],
  },
  netloom_leases: { type: 'gauge', help: 'Addresses leased, by network and family.', labels: ['network', 'family'] },
  netloom_pool_addresses: {
    type: 'gauge',
    help: 'Addresses that a subnet has for endpoints; a /64 has more than a float can count exactly.',
    labels: ['network', 'family'],
  },
  netloom_operations_total: {
    type: 'counter',
    help: 'Changes asked for, by verb and by how they ended: ok, or the code of the error.',
    labels: ['verb', 'result'],
  },
  netloom_operation_duration_seconds: {
    type: 'histogram',
    help: 'How long a change took, from the request to the answer.',
    labels: ['verb'],
    buckets: LONG,
  },
  netloom_kernel_call_duration_seconds: {
    type: 'histogram',
    help: "How long a netlink exchange took, waiting for its turn included; lane says whether it was made on the event loop's thread.",
    labels: ['family', 'lane'],
    buckets: SHORT,
  },
  netloom_kernel_calls_waiting: {
    type: 'gauge',
    help: "Netlink exchanges on the host's connections that are not finished.",
    labels: ['family'],
  },
  netloom_links_dying: {
    type: 'gauge',
    help: 'Links that wait for their deletion, which the kernel does in groups.',
    labels: [],
  },
  netloom_repairs_total: {
    type: 'counter',
    help: 'Facts put right, by kind and by what was done: add, change, delete.',
    labels: ['kind', 'verb'],
  },
  netloom_repair_duration_seconds: {
    type: 'histogram',
    help: 'From the first event to the kernel as wanted.',
    labels: [],
    buckets: LONG,
  },
  netloom_repair_back_offs_total: {
    type: 'counter',
    help: 'Times that somebody else changed the same fact so often that repair waits longer.',
    labels: ['kind'],
  },
  netloom_kernel_events_lost_total: {
    type: 'counter',
    help: 'Times that the kernel had more to tell than there was room for; everything is compared then.',
    labels: [],
  },
  netloom_host_firewall_reads_total: {
    type: 'counter',
    help: "Times that other programs' firewall rules were read, to judge published ports by them.",
    labels: [],
  },
  netloom_reclaimed_total: {
    type: 'counter',
    help: 'Objects whose workload died without a goodbye, by kind.',
    labels: ['kind'],
  },
  netloom_dropped_packets_total: {
    type: 'counter',
    help: 'Packets that our rules dropped, by reason; packet-paths.md tells them.',
    labels: ['reason'],
  },
  netloom_dropped_bytes_total: {
    type: 'counter',
    help: 'Bytes that our rules dropped, by reason.',
    labels: ['reason'],
  },
  netloom_confined_connections_total: {
    type: 'counter',
    help: 'Connections of endpoints that hold thousands, begun from the lower half of the ports; packet-paths.md tells why.',
    labels: [],
  },
  netloom_dns_queries_total: {
    type: 'counter',
    help: 'Questions answered, by where the answer came from (local, cache, upstream) and its code.',
    labels: ['source', 'rcode'],
  },
  netloom_dns_rejected_total: {
    type: 'counter',
    help: 'Questions not answered, by reason: limits of one asker, malformed packets.',
    labels: ['reason'],
  },
  netloom_dns_cache_entries: { type: 'gauge', help: 'Answers in the cache.', labels: [] },
  netloom_dns_cache_bytes: { type: 'gauge', help: 'Memory of the cache, bytes.', labels: [] },
  netloom_dns_questions_waiting: { type: 'gauge', help: 'Questions that wait for upstream servers.', labels: [] },
  netloom_dns_upstream_answers_total: { type: 'counter', help: 'Answers of upstream servers.', labels: [] },
  netloom_dns_upstream_seconds_total: {
    type: 'counter',
    help: 'Time that these answers took, together: divided by their number, the mean.',
    labels: [],
  },
  netloom_dns_upstream_failures_total: {
    type: 'counter',
    help: 'Tries that got no answer from an upstream server.',
    labels: [],
  },
  netloom_dhcp_leases: { type: 'gauge', help: 'Addresses held from DHCP servers of the LAN.', labels: [] },
  netloom_dhcp_renewals_total: {
    type: 'counter',
    help: 'Renewals of such leases, by how they ended: ok, failed.',
    labels: ['result'],
  },
  netloom_dhcp_machines: {
    type: 'gauge',
    help: 'Virtual machines that have asked for their address and were told it.',
    labels: [],
  },
  netloom_dhcp_replies_total: {
    type: 'counter',
    help: 'Messages of virtual machines that were taken in, by what was made of them: offer, ack, nak, advert and so on.',
    labels: ['outcome'],
  },
  netloom_bgp_neighbors: {
    type: 'gauge',
    help: 'BGP neighbors, by whether there is a session: established, down.',
    labels: ['state'],
  },
  netloom_bgp_prefixes: {
    type: 'gauge',
    help: 'Prefixes of all BGP sessions: received, sent, and of the received those kept for a neighbor that restarts.',
    labels: ['direction'],
  },
  netloom_event_listeners: { type: 'gauge', help: 'Readers of the event stream.', labels: [] },
  netloom_event_loop_lag_seconds: {
    type: 'gauge',
    help: 'How late the event loop was, worst of the last ten seconds.',
    labels: [],
  },
};

export type MetricName = keyof Labels;
export type CounterName = keyof Counters;
export type GaugeName = keyof Gauges;
export type HistogramName = keyof Histograms;
/** A value for every label of a metric. */
export type LabelsOf<K extends MetricName> = Readonly<Record<Labels[K], string>>;
