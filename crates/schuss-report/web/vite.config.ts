import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/**
 * Puts the one script and the one style sheet into report.html.
 *
 * The policy lets nothing but these two run or be loaded, so that a report stays harmless whatever its data say.
 */
function oneFile(): Plugin {
  return {
    name: "one-file",
    enforce: "post", // After Vite has put the style sheets together.
    generateBundle(_, bundle) {
      let script = "";
      let style = "";
      for (const [name, part] of Object.entries(bundle)) {
        if (part.type === "chunk") script += part.code;
        else style += part.source;
        delete bundle[name];
      }
      script = script.trim().replaceAll("</script", "<\\/script");
      style = style.trim();
      if (!script || !style) throw new Error("one-file: expected a script and a style sheet");
      const policy = `default-src 'none'; img-src data:; script-src ${hash(script)}; style-src ${hash(style)}`;
      const parts: Record<string, string> = {
        policy: `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
        style: `<style>${style}</style>`,
        script: `<script>${script}</script>`,
      };
      const source = readFileSync("report.html", "utf8").replace(/<!--(policy|style|script)-->/g, (_, name) => parts[name]!);
      this.emitFile({ type: "asset", fileName: "report.html", source });
    },
  };
}

export default defineConfig({
  plugins: [oneFile()],
  build: {
    target: "es2022",
    modulePreload: false,
    cssCodeSplit: false,
    rollupOptions: { input: "src/main.ts", output: { format: "iife" } },
  },
});
