// Replaces React's developer tools, which no production build loads.
export default {};
