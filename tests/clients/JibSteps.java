import com.google.cloud.tools.jib.api.Containerizer;
import com.google.cloud.tools.jib.api.Jib;
import com.google.cloud.tools.jib.api.JibContainer;
import com.google.cloud.tools.jib.api.RegistryImage;
import com.google.cloud.tools.jib.api.buildplan.AbsoluteUnixPath;
import com.google.cloud.tools.jib.api.buildplan.ImageFormat;
import com.google.cloud.tools.jib.api.buildplan.Platform;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.Set;

/** `JibSteps HOST:PORT/NAME FOLDER`: an image for two platforms from nothing, and another on top of it. */
public class JibSteps {
    public static void main(String[] arguments) throws Exception {
        String name = arguments[0];
        Path folder = Path.of(arguments[1]);
        byte[] content = new byte[3_000_000];
        new Random().nextBytes(content);
        Path first = Files.write(folder.resolve("first.bin"), content);
        Path second = Files.writeString(folder.resolve("second.txt"), "the second layer");

        Set<Platform> platforms = Set.of(new Platform("amd64", "linux"), new Platform("arm64", "linux"));
        JibContainer base =
                Jib.fromScratch()
                        .setPlatforms(platforms)
                        .addLayer(List.of(first), AbsoluteUnixPath.get("/"))
                        .containerize(to(name + ":base", folder));
        JibContainer above =
                Jib.from(RegistryImage.named(name + ":base"))
                        .setPlatforms(Set.of(new Platform("arm64", "linux")))
                        .setFormat(ImageFormat.OCI)
                        .addLayer(List.of(second), AbsoluteUnixPath.get("/"))
                        .containerize(to(name + ":above", folder));
        System.out.println(base.getDigest() + " " + above.getDigest());
    }

    private static Containerizer to(String name, Path folder) throws Exception {
        return Containerizer.to(RegistryImage.named(name))
                .setAllowInsecureRegistries(true)
                .setBaseImageLayersCache(folder.resolve("base-cache-" + name.hashCode()))
                .setApplicationLayersCache(folder.resolve("cache-" + name.hashCode()));
    }
}
