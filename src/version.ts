/** As in package.json; a test keeps them equal. */
export const VERSION = '0.1.0';
/** Of the REST API: the first part of its paths. */
export const API_VERSION = 'v1';
