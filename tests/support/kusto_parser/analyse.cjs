// Microsoft's parser of the Kusto Query Language, over queries and a schema that come as JSON on standard input:
// {tables: {name: {column: type}}, queries: {name: text}}. Prints {name: report}; a report says what is wrong with a
// query, which columns it ends with, and which keys of `Properties` it reads from which tables under which names.
const path = require("node:path");

const packages = path.join(process.argv[2], "@kusto", "language-service-next");
require(path.join(packages, "bridge.min.js"));
require(path.join(packages, "Kusto.Language.Bridge.min.js"));

const { KustoCode, GlobalState, Symbols } = Kusto.Language;
const KEYED = "Properties";
const NAMED = "Name";

const arrayOf = (list) => (list ? System.Linq.Enumerable.from(list, System.Object).ToArray() : []);

function globalsOf(tables) {
  const symbols = Object.entries(tables).map(([name, columns]) => {
    const schema = Object.entries(columns).map(([column, type]) => `['${column}']: ${type}`);
    return new Symbols.TableSymbol.$ctor7(name, `(${schema.join(", ")})`, null);
  });
  return GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("logs", symbols));
}

function descendants(node) {
  const found = [node];
  for (let index = 0; index < node.ChildCount; index += 1) {
    const child = node.GetChild(index);
    if (child && child.ChildCount !== undefined) found.push(...descendants(child));
  }
  return found;
}

const kindOf = (node) => Bridge.getTypeName(node).split(".").pop();
const literalOf = (node) => (kindOf(node) === "LiteralExpression" ? String(node.LiteralValue) : null);
const isNamed = (node, name) => kindOf(node) === "NameReference" && node.SimpleName === name;

function lineAt(text, position) {
  return text.slice(0, position).split("\n").length;
}

// What a name that `let` gave stands for.
function definitions(every) {
  const lets = every.filter((node) => kindOf(node) === "LetStatement");
  return new Map(lets.map((node) => [node.Name.SimpleName, node.Expression]));
}

// The literals that a column is compared with: `Name == "x"`, `Name in ("x", "y")`, `Name startswith "x"`.
function comparedWith(node, column) {
  const kind = kindOf(node);
  if (!["BinaryExpression", "InExpression"].includes(kind) || !isNamed(node.Left, column)) return [];
  const prefix = node.Operator.Text.startsWith("startswith");
  const literals = descendants(node.Right).map(literalOf).filter((literal) => literal !== null);
  return literals.map((literal) => ({ name: literal, prefix }));
}

// The tables that rows of an expression come from, and the names that filters on the way leave them.
function originOf(node, scope, origin = { tables: new Set(), names: [] }) {
  switch (kindOf(node)) {
    case "PipeExpression":
      originOf(node.Expression, scope, origin);
      originOf(node.Operator, scope, origin);
      break;
    case "FilterOperator":
      for (const each of descendants(node.Condition)) origin.names.push(...comparedWith(each, NAMED));
      break;
    case "NameReference":
      if (scope.tables.has(node.SimpleName)) origin.tables.add(node.SimpleName);
      else if (scope.lets.has(node.SimpleName)) originOf(scope.lets.get(node.SimpleName), scope, origin);
      break;
    case "JoinOperator":
      originOf(node.Expression, scope, origin);
      break;
    case "ParenthesizedExpression":
      originOf(node.Expression, scope, origin);
      break;
    case "UnionOperator":
      for (const each of descendants(node.Expressions)) {
        if (kindOf(each) === "NameReference") originOf(each, scope, origin);
      }
      break;
  }
  return origin;
}

// The origin of the rows that come to an expression within an operator, with that operator's own filter.
function originAt(node, scope) {
  const origin = { tables: new Set(), names: [] };
  for (let each = node; each.Parent; each = each.Parent) {
    if (kindOf(each) === "FilterOperator") originOf(each, scope, origin);
    if (kindOf(each.Parent) === "PipeExpression" && each.Parent.Operator === each) {
      originOf(each.Parent.Expression, scope, origin);
      break;
    }
  }
  return { tables: [...origin.tables], names: origin.names };
}

function reportOf(text, globals, tables) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const every = descendants(code.Syntax);
  const scope = { tables, lets: definitions(every) };
  const at = (node) => lineAt(text, node.TextStart);
  const problems = arrayOf(code.GetDiagnostics()).map((each) => ({
    line: lineAt(text, each.Start),
    message: each.Message,
  }));
  const keys = [];
  const names = [];
  for (const node of every) {
    if (kindOf(node) === "PathExpression" && isNamed(node.Expression, KEYED)) {
      problems.push({ line: at(node), message: `write ${KEYED}["..."], for keys have dots in them` });
    }
    if (kindOf(node) === "ElementExpression" && isNamed(node.Expression, KEYED)) {
      const key = descendants(node.Selector).map(literalOf).find((literal) => literal !== null);
      keys.push({ line: at(node), key: key ?? "", ...originAt(node, scope) });
    }
    for (const compared of comparedWith(node, NAMED)) {
      names.push({ line: at(node), ...compared, tables: originAt(node, scope).tables });
    }
  }
  const literals = every
    .filter((node) => literalOf(node) !== null && node.ResultType && node.ResultType.Name === "string")
    .map((node) => ({ line: at(node), literal: literalOf(node) }));
  const result = code.ResultType;
  const columns = result && result.Columns ? arrayOf(result.Columns).map((each) => [each.Name, each.Type.Name]) : [];
  return { problems, keys, names, literals, columns };
}

let given = "";
process.stdin.on("data", (chunk) => (given += chunk));
process.stdin.on("end", () => {
  const { tables, queries } = JSON.parse(given);
  const globals = globalsOf(tables);
  const known = new Set(Object.keys(tables));
  const reports = Object.entries(queries).map(([name, text]) => [name, reportOf(text, globals, known)]);
  process.stdout.write(JSON.stringify(Object.fromEntries(reports)));
});
